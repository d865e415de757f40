// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Detects stalls of this process: no processor time, SIGSTOP, or work that held up the event loop.
// Invariant: reports each stall once, as soon as it is over. Uses the duration alone; setting the wall clock is not a stall.

import type { Clock } from "../lib/clock.ts";

/** Milliseconds between two beats of the event loop. */
const BEAT_MS = 500;

/**
 * Accepted lateness of a beat, in milliseconds. KubeArmor keeps 1,000 alerts for a reader, and how soon they overflow
 * is unknown: so the bound is above any pause for garbage collection or a busy machine, and well below the 15 s of a
 * Lease, after which another replica takes over anyway.
 */
const MAX_LATE_MS = 5000;

/** Calls `onEventLoopStall` with how long it was, in milliseconds, counted from the last beat before it; returns what stops it. */
export function monitorEventLoopStalls(clock: Clock, onEventLoopStall: (ms: number) => void): () => void {
  let beforeMs = clock.monotonicMs();
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(BEAT_MS, () => {
      const nowMs = clock.monotonicMs();
      const elapsedMs = nowMs - beforeMs;
      beforeMs = nowMs;
      if (elapsedMs - BEAT_MS >= MAX_LATE_MS) onEventLoopStall(elapsedMs);
      arm();
    });
  };
  arm();
  return () => cancel();
}
