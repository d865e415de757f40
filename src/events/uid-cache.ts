// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns what is known about the uids of pods and nodes: looked up when an Event needs one, and soon forgotten.
// Invariant: bounded in number and in age; a failed look-up is not remembered, an absent object is, briefly.

import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { EventSink, Regarding, UidResult } from "./event-recorder.ts";

/** Just under a series' heartbeat, so that each one looks whether the pod was replaced under its name. */
const FOUND_TTL_MS = 55_000;
/** The alerts of a pod that is gone keep coming for a moment; one look-up per pod in this time is enough. */
const ABSENT_TTL_MS = 10_000;
const MAX_ENTRIES = 4096;

/** The uid of an object, at most a minute old. */
export class UidCache {
  readonly #sink: EventSink;
  readonly #known: LRUCache<string, UidResult>;

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#known = new LRUCache({
      max: MAX_ENTRIES,
      perf: { now: () => clock.monotonicMs() },
      // 0: ask the clock each time in place of caching its answer with a timer of its own.
      ttlResolution: 0,
    });
  }

  async get(regarding: Regarding, signal: AbortSignal): Promise<UidResult> {
    const namespace = regarding.kind === "Node" ? "" : regarding.namespace;
    const key = JSON.stringify([regarding.kind, namespace, regarding.name]);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const result = await this.#sink.findUid(regarding, signal);
    if (result.kind === "found") this.#known.set(key, result, { ttl: FOUND_TTL_MS });
    if (result.kind === "absent") this.#known.set(key, result, { ttl: ABSENT_TTL_MS });
    return result;
  }
}
