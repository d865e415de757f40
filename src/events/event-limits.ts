// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Limits of the Events about one object: a budget of new Events, and a pause after a failure.
// Invariant: bounded in number; the object without Events for the longest time is forgotten first.

import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { TokenBucket } from "../lib/pacing/token-bucket.ts";
import type { LossReason } from "./event-counters.ts";
import type { Regarding } from "./event-recorder.ts";

export interface TokenRate {
  perSecond: number;
  burst: number;
}

const DEFAULT_RATE: TokenRate = { perSecond: 1 / 30, burst: 25 };
const MAX_OBJECTS = 4096;
/** Time for which the further occurrences of a series that failed are lost without a request. */
const PAUSE_MS = { pod_gone: 10_000, retries_exhausted: 30_000, refused: 60_000 } as const;

export type PauseReason = keyof typeof PAUSE_MS;

export class EventLimits {
  readonly #rate: TokenRate;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_OBJECTS });
  readonly #paused: LRUCache<string, LossReason>;

  constructor(rate: TokenRate | undefined, clock: Pick<Clock, "monotonicMs">) {
    this.#rate = rate ?? DEFAULT_RATE;
    this.#clock = clock;
    this.#paused = new LRUCache({ max: MAX_OBJECTS, perf: { now: () => clock.monotonicMs() }, ttlResolution: 0 });
  }

  /** Takes one new Event about the object off its budget; false where that is used up. */
  takeCreateToken(regarding: Regarding): boolean {
    const key = JSON.stringify([regarding.kind === "Node" ? "" : regarding.namespace, regarding.name]);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#rate.perSecond, this.#rate.burst);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(this.#clock.monotonicMs());
  }

  pause(series: string, reason: PauseReason): void {
    this.#paused.set(series, reason, { ttl: PAUSE_MS[reason] });
  }

  /** Returns the reason for which a series is paused now; undefined where it is not. */
  findPauseReason(series: string): LossReason | undefined {
    return this.#paused.get(series);
  }
}
