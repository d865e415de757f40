// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time until which the leader's counts are persisted, by this process's clock, from the changes of its Lease. Invariant:
// never too late, with any difference between the clocks of two processes and any step of either. Where the leader takes
// its time back, because it has found that alerts are missing since then, it is taken back here.
// - Each change holds the age of the oldest count that no report has: the difference of two times of one clock.
// - Each change is based on the previous one, so it was made after it. The previous one was made after the Lease was
//   last seen with an earlier change: after the end of the read that found the third change before.

import { parseEpochMs } from "../../lib/time.ts";
import type { LeaseRecord } from "./lease.ts";

/** A change was certainly made after the read that found the change this many before it. */
const CHANGES_BEFORE = 3;
/** A time in the Lease is made of two clocks, so that one that stays changes a little. The changes before are older. */
const JITTER_MS = 1000;

export class LeaderProgress {
  /** Everything that the leader counted before this monotonic time is persisted; undefined where that is not known. */
  persistedMs: number | undefined;
  /** Monotonic times at which the last changes were seen. */
  #seenMs: number[] = [];
  #acquireTime = "";
  /** Time in the Lease that a new holder copied from the previous one; it follows the previous holder's clock. */
  #copied = "";
  /** As the Lease had it last. */
  #leaderMs = Number.NEGATIVE_INFINITY;

  /** Handles a change of the Lease, which was seen at the monotonic time `nowMs`. */
  observe({ holder, acquireTime, renewTime, unwrittenSince }: LeaseRecord, nowMs: number): void {
    // A holder that frees the Lease changes the time as well.
    if (acquireTime !== this.#acquireTime && holder !== "") this.#copied = unwrittenSince;
    this.#acquireTime = acquireTime;
    const beforeMs = this.#seenMs.length < CHANGES_BEFORE ? undefined : this.#seenMs[0];
    this.#seenMs = [...this.#seenMs, nowMs].slice(-CHANGES_BEFORE);
    const [leaderMs, persistedMs] = [parseEpochMs(renewTime), parseEpochMs(unwrittenSince)];
    if (beforeMs === undefined || leaderMs === undefined || persistedMs === undefined) return;
    if (unwrittenSince === this.#copied) return;
    const untilMs = beforeMs - Math.max(0, leaderMs - persistedMs);
    const isTakenBack = persistedMs < this.#leaderMs - JITTER_MS;
    this.#leaderMs = persistedMs;
    this.persistedMs = isTakenBack ? untilMs : Math.max(this.persistedMs ?? untilMs, untilMs);
  }
}
