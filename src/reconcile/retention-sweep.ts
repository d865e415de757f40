// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Removes violations beyond retention, so that a wrong clock deletes nothing:
// - A violation or report that this process wrote is kept for the whole retention by monotonic time, independent of the
//   times in its alerts: the clock of its node may be behind.
// - Anything else goes by its `lastSeen`, and only if the wall clock of this node and that of the API server both
//   agree, and neither was set since the sweep before. The first sweep is one interval after the start.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";

export interface RetentionOptions {
  /** Time that a violation is kept after it was last seen, in milliseconds; 0 keeps it forever. */
  retentionMs: number;
  /** Between two sweeps, in milliseconds. */
  sweepMs: number;
}

export interface RetentionParts {
  clock: Clock;
  logger: Logger;
  /** Time of another clock, that of the API server; undefined where it is unknown. Milliseconds since the epoch. */
  otherNowMs?: (() => number | undefined) | undefined;
  /**
   * Called once per interval with the time before which nothing is kept, and the number of sweeps for which is kept
   * what this process wrote.
   */
  sweep: (beforeUs: number, keptSweeps: number) => void;
}

/** A wall clock that differs from monotonic time by more than this was set. Milliseconds. */
const MAX_DRIFT_MS = 60_000;

/** Starts the sweeps; returns the function that stops them. */
export function startRetentionSweeps(
  { retentionMs, sweepMs }: RetentionOptions,
  { clock, logger, otherNowMs, sweep }: RetentionParts,
): () => void {
  const keptSweeps = Math.ceil(retentionMs / sweepMs);
  const watchOwn = watchSteps(clock, () => clock.nowMs());
  const watchOther = watchSteps(clock, () => otherNowMs?.());
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(sweepMs, () => {
      const steps = { steppedMs: watchOwn(), serverSteppedMs: watchOther() };
      if (Object.values(steps).some((ms) => Math.abs(ms) > MAX_DRIFT_MS)) {
        logger.warn(steps, "wall clock was set, retention skipped");
      } else {
        const nowMs = Math.min(clock.nowMs(), otherNowMs?.() ?? Number.POSITIVE_INFINITY);
        sweep((nowMs - retentionMs) * 1000, keptSweeps);
      }
      arm();
    });
  };
  if (retentionMs > 0) arm();
  return () => cancel();
}

/** Returns a function that gives the milliseconds by which a wall clock was set since its last call. */
function watchSteps(clock: Clock, nowMs: () => number | undefined): () => number {
  const offsetMs = () => {
    const ms = nowMs();
    return ms === undefined ? undefined : Math.round(ms - clock.monotonicMs());
  };
  let last = offsetMs();
  return () => {
    const offset = offsetMs();
    const steppedMs = offset === undefined || last === undefined ? 0 : offset - last;
    last = offset ?? last;
    return steppedMs;
  };
}
