// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Notices when this process has stood still: no processor time, SIGSTOP, or work that held up the event loop.
// Invariant: tells each standstill once, as soon as it is over.

import { BEAT_MS, isStandstill } from "../core/standstill.ts";
import type { Clock } from "../lib/clock.ts";

/** Calls `onStandstill` with how long it was, in milliseconds, counted from the last beat before it; returns what stops it. */
export function watchStandstills(clock: Clock, onStandstill: (ms: number) => void): () => void {
  let beforeMs = clock.monotonicMs();
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(BEAT_MS, () => {
      const nowMs = clock.monotonicMs();
      const elapsedMs = nowMs - beforeMs;
      beforeMs = nowMs;
      if (isStandstill(elapsedMs)) onStandstill(elapsedMs);
      arm();
    });
  };
  arm();
  return () => cancel();
}
