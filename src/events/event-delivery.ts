// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One request of a series: finds the uid of its object, then creates or patches the Event.
// Invariant: a request stays the same through all its tries, so that a lost answer can't make two Events.

import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { getErrorMessage } from "../lib/error-message.ts";
import type { EventResult, EventSink, Regarding, UidResult } from "./event-recorder.ts";
import { createAttempt, type Series, type SeriesAttempt, startOver } from "./series.ts";

/** Just under a series' heartbeat, so that each one looks whether the pod was replaced under its name. */
const FOUND_TTL_MS = 55_000;
/** The alerts of a pod that is gone keep coming for a moment; one look-up per pod in this time is enough. */
const ABSENT_TTL_MS = 10_000;
const MAX_ENTRIES = 4096;

/** A series with its request, if that was begun. */
export interface Deliverable {
  readonly series: Series;
  attempt: SeriesAttempt | undefined;
}

export class EventDelivery {
  readonly #sink: EventSink;
  readonly #clock: Pick<Clock, "nowMs" | "random">;
  /** Uids of pods and nodes: looked up when an Event needs one, and soon forgotten. */
  readonly #uids: LRUCache<string, UidResult>;
  readonly #aborter = new AbortController();

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
    this.#uids = new LRUCache({
      max: MAX_ENTRIES,
      perf: { now: () => clock.monotonicMs() },
      // 0: ask the clock each time instead of caching its answer with another timer.
      ttlResolution: 0,
    });
  }

  /** Ends the requests under way. */
  abort(): void {
    this.#aborter.abort();
  }

  /** Sends the request once. Never rejects: an error of the sink's own is a refusal. */
  async deliver(deliverable: Deliverable): Promise<EventResult> {
    try {
      return await this.#send(deliverable);
    } catch (error) {
      return { kind: "refused", message: getErrorMessage(error) };
    }
  }

  async #send(deliverable: Deliverable): Promise<EventResult> {
    const { series } = deliverable;
    const { signal } = this.#aborter;
    const uid = await this.#findUid(series.occurrence.regarding);
    // The namespace of a pod that is gone may still exist; the result is the same.
    if (uid.kind === "absent") return { kind: "namespace_gone" };
    if (uid.kind !== "found") return uid;
    if (deliverable.attempt === undefined) {
      if (series.event !== undefined && series.event.uid !== uid.uid) startOver(series);
      deliverable.attempt = createAttempt(series, uid.uid, this.#clock.nowMs(), this.#clock.random());
    }
    const { attempt } = deliverable;
    if (attempt.kind === "create") return this.#sink.create(attempt.event, signal);
    const last = { count: attempt.count, lastObservedUs: attempt.lastUs };
    return this.#sink.patchSeries(attempt.ref, last, signal);
  }

  /** A failed look-up is not remembered, an absent object is, briefly. */
  async #findUid(regarding: Regarding): Promise<UidResult> {
    const namespace = regarding.kind === "Node" ? "" : regarding.namespace;
    const key = JSON.stringify([regarding.kind, namespace, regarding.name]);
    const known = this.#uids.get(key);
    if (known !== undefined) return known;
    const result = await this.#sink.findUid(regarding, this.#aborter.signal);
    if (result.kind === "found") this.#uids.set(key, result, { ttl: FOUND_TTL_MS });
    if (result.kind === "absent") this.#uids.set(key, result, { ttl: ABSENT_TTL_MS });
    return result;
  }
}
