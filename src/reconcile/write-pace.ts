// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pace of one report: pure arithmetic on a state and a monotonic time. The longer only counters move, the rarer the
// writes.

import type { Urgency } from "../aggregate/gaps/urgency.ts";

export interface PaceOptions {
  /** Delay of the first write of a violation, so that a burst is one write. Milliseconds. */
  firstWriteDelayMs: number;
  /** Between two writes of one report. Milliseconds. */
  minIntervalMs: number;
  /** Limit of the interval, which doubles while only counters move. Milliseconds. */
  maxIntervalMs: number;
}

/** Pace of one report, in monotonic milliseconds. */
export interface Pace {
  lastWriteMs: number;
  intervalMs: number;
  /** Writes that new violations may have ahead of the interval; each write takes one, each minIntervalMs earns one. */
  credit: number;
}

/** New violations of one report that are written at once before the interval binds them too. */
const MAX_CREDIT = 3;

/** Pace of a report that was never written. */
export function createPace(options: PaceOptions): Pace {
  return { lastWriteMs: Number.NEGATIVE_INFINITY, intervalMs: options.minIntervalMs, credit: MAX_CREDIT };
}

/** Time at which a change of `nowMs` is due to be written. */
export function computeDueMs(pace: Pace, urgency: Urgency, nowMs: number, options: PaceOptions): number {
  const soonMs = nowMs + options.firstWriteDelayMs;
  if (urgency === "new_report" || urgency === "new_violation") {
    return computeCredit(pace, nowMs, options) >= 1
      ? soonMs
      : Math.max(soonMs, pace.lastWriteMs + options.minIntervalMs);
  }
  const quiet = nowMs - pace.lastWriteMs > 2 * pace.intervalMs;
  const intervalMs = quiet ? options.minIntervalMs : pace.intervalMs;
  return Math.max(soonMs, pace.lastWriteMs + intervalMs);
}

/** Pace after a write at `nowMs`; `fresh`: it brought a new violation. */
export function afterWrite(pace: Pace, fresh: boolean, nowMs: number, options: PaceOptions): Pace {
  const quiet = nowMs - pace.lastWriteMs > 2 * pace.intervalMs;
  return {
    lastWriteMs: nowMs,
    intervalMs: fresh || quiet ? options.minIntervalMs : Math.min(pace.intervalMs * 2, options.maxIntervalMs),
    // Each write costs what an interval earns, so that new violations without end come to one write per interval.
    credit: Math.max(0, computeCredit(pace, nowMs, options) - 1),
  };
}

/** Milliseconds after which a pace equals that of a report that was never written. */
export function computeQuietMs({ minIntervalMs, maxIntervalMs }: PaceOptions): number {
  return Math.max(2 * maxIntervalMs, MAX_CREDIT * minIntervalMs);
}

function computeCredit(pace: Pace, nowMs: number, options: PaceOptions): number {
  const earned = (nowMs - pace.lastWriteMs) / options.minIntervalMs;
  return Math.min(MAX_CREDIT, pace.credit + earned);
}
