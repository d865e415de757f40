// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One request of a series: finds the uid of its object, then creates or patches the Event.
// Invariant: a request stays the same through all its tries, so that a lost answer can't make two Events.

import type { Clock } from "../lib/clock.ts";
import { getErrorMessage } from "../lib/error-message.ts";
import type { EventResult, EventSink } from "./event-recorder.ts";
import { createAttempt, type Series, type SeriesAttempt, startOver } from "./series.ts";
import { UidCache } from "./uid-cache.ts";

/** A series with its request, if that was begun. */
export interface Deliverable {
  readonly series: Series;
  attempt: SeriesAttempt | undefined;
}

export class EventDelivery {
  readonly #sink: EventSink;
  readonly #clock: Pick<Clock, "nowMs" | "random">;
  readonly #uids: UidCache;
  readonly #aborter = new AbortController();

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
    this.#uids = new UidCache(sink, clock);
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
    const uid = await this.#uids.get(series.occurrence.regarding, signal);
    // The namespace of a pod that is gone may still be there; what is to be done is the same.
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
}
