// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// When violations are looked through for those that are too old to be kept.
// Invariant: only where this process writes, and not before one interval has passed: what is stored may be taken up
// again by a person before that.

import type { Clock } from "../lib/clock.ts";

export interface RetentionOptions {
  /** How long a violation is kept after it was last seen, in milliseconds; 0 keeps it for ever. */
  retentionMs: number;
  /** Between two sweeps, in milliseconds. */
  sweepMs: number;
}

/** Calls `sweep` with the time before which nothing is kept, once in an interval; returns what stops it. */
export function startSweeps(
  { retentionMs, sweepMs }: RetentionOptions,
  clock: Clock,
  sweep: (beforeUs: number) => void,
): () => void {
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(sweepMs, () => {
      sweep((clock.nowMs() - retentionMs) * 1000);
      arm();
    });
  };
  if (retentionMs > 0) arm();
  return () => cancel();
}
