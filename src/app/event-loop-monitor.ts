// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Detects stalls of this process: no processor time, SIGSTOP, or work that held up the event loop.
// Invariant: reports each stall once, as soon as it is over.

import type { Clock } from "../lib/clock.ts";
import { BEAT_MS, isEventLoopStall } from "../lib/event-loop-stall.ts";

/** Calls `onEventLoopStall` with how long it was, in milliseconds, counted from the last beat before it; returns what stops it. */
export function monitorEventLoopStalls(clock: Clock, onEventLoopStall: (ms: number) => void): () => void {
  let beforeMs = clock.monotonicMs();
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(BEAT_MS, () => {
      const nowMs = clock.monotonicMs();
      const elapsedMs = nowMs - beforeMs;
      beforeMs = nowMs;
      if (isEventLoopStall(elapsedMs)) onEventLoopStall(elapsedMs);
      arm();
    });
  };
  arm();
  return () => cancel();
}
