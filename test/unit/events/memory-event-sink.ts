// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The in-memory twin of the API server's Events, for tests of the recorder: it validates as the API server does, and it
// fails by command.

import type { EventResult, EventSink, NewEvent, Regarding, UidResult } from "../../../src/events/event-recorder.ts";

export interface StoredEvent extends NewEvent {
  /** Count as a person reads it. */
  count: number;
}

/** Decides what becomes of a call; undefined lets it through. `lost` carries it out and then gives no answer. */
export type Fault = (call: "uid" | "create" | "patch") => EventResult | "lost" | undefined;

export class MemoryEventSink implements EventSink {
  readonly events = new Map<string, StoredEvent>();
  /** uid by `namespace/name`, with an empty namespace for nodes; an object that is not here is absent. */
  readonly uids = new Map<string, string>();
  readonly calls = { uid: 0, create: 0, patch: 0 };
  fault: Fault = () => undefined;
  /** Calls wait for it where it is set. */
  gate: Promise<void> | undefined;

  async findUid(regarding: Regarding): Promise<UidResult> {
    const result = await this.#call("uid", () => ({ kind: "sent" }));
    if (result.kind === "retry" || result.kind === "refused") return result;
    const uid = this.uids.get(`${regarding.kind === "Pod" ? regarding.namespace : ""}/${regarding.name}`);
    return uid === undefined ? { kind: "absent" } : { kind: "found", uid };
  }

  create(event: NewEvent): Promise<EventResult> {
    return this.#call("create", () => {
      const key = `${event.namespace}/${event.name}`;
      if (event.series !== undefined && event.series.count < 2) throw new Error("series.count must be 2 or more");
      // As the port asks: an Event that exists already is the one of an earlier try.
      if (!this.events.has(key)) this.events.set(key, { ...event, count: event.series?.count ?? 1 });
      return { kind: "sent" };
    });
  }

  patchSeries(
    ref: { namespace: string; name: string },
    series: { count: number; lastObservedUs: number },
  ): Promise<EventResult> {
    return this.#call("patch", () => {
      if (series.count < 2) throw new Error("series.count must be 2 or more");
      const event = this.events.get(`${ref.namespace}/${ref.name}`);
      if (event === undefined) return { kind: "gone" };
      Object.assign(event, { series, count: series.count });
      return { kind: "sent" };
    });
  }

  async #call(call: "uid" | "create" | "patch", carryOut: () => EventResult): Promise<EventResult> {
    this.calls[call] += 1;
    await this.gate;
    const fault = this.fault(call);
    if (fault !== undefined && fault !== "lost") return fault;
    const result = carryOut();
    return fault === "lost" ? { kind: "retry", message: "no answer" } : result;
  }
}
