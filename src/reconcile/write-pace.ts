// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// When a report deserves its next write: our pace, never the stream's.
// Invariant: pure arithmetic on a state and a time; the longer only counters move, the rarer the writes.

import type { Urgency } from "../aggregate/aggregator.ts";

export interface PaceOptions {
  /** Wait before the first sight of a violation is written, so that a burst is one write. Milliseconds. */
  firstWriteDelayMs: number;
  /** Between two writes of one report. Milliseconds. */
  minIntervalMs: number;
  /** What the interval stretches to, doubling, while only counters move. Milliseconds. */
  maxIntervalMs: number;
}

/** The pace of one report. */
export interface Pace {
  lastWriteMs: number;
  intervalMs: number;
  /** Writes that new violations may have ahead of the interval; each write takes one, each minIntervalMs earns one. */
  credit: number;
}

/** New violations of one report that are written at once before the interval binds them too. */
const MAX_CREDIT = 3;

/** The pace of a report that was never written. */
export function newPace(options: PaceOptions): Pace {
  return { lastWriteMs: Number.NEGATIVE_INFINITY, intervalMs: options.minIntervalMs, credit: MAX_CREDIT };
}

/** When a change that came at `nowMs` is due to be written. */
export function dueMs(pace: Pace, urgency: Urgency, nowMs: number, options: PaceOptions): number {
  const soonMs = nowMs + options.firstWriteDelayMs;
  if (urgency === "new_report" || urgency === "new_violation") {
    return creditAt(pace, nowMs, options) >= 1
      ? soonMs
      : Math.max(soonMs, pace.lastWriteMs + options.minIntervalMs);
  }
  const quiet = nowMs - pace.lastWriteMs > 2 * pace.intervalMs;
  const intervalMs = quiet ? options.minIntervalMs : pace.intervalMs;
  return Math.max(soonMs, pace.lastWriteMs + intervalMs);
}

/** The pace after a write at `nowMs`; `fresh` tells whether it brought a new violation. */
export function afterWrite(pace: Pace, fresh: boolean, nowMs: number, options: PaceOptions): Pace {
  const quiet = nowMs - pace.lastWriteMs > 2 * pace.intervalMs;
  return {
    lastWriteMs: nowMs,
    intervalMs: fresh || quiet ? options.minIntervalMs : Math.min(pace.intervalMs * 2, options.maxIntervalMs),
    // Each write costs what an interval earns, so that new violations without end come to one write per interval.
    credit: Math.max(0, creditAt(pace, nowMs, options) - 1),
  };
}

function creditAt(pace: Pace, nowMs: number, options: PaceOptions): number {
  const earned = (nowMs - pace.lastWriteMs) / options.minIntervalMs;
  return Math.min(MAX_CREDIT, pace.credit + earned);
}
