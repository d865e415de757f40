// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The history of a report as bars: by hour where the hours reach back to the first occurrence, else by day.
// Invariant: pure; a report of an earlier version has no history, which is unknown and not empty.

import { HISTORY_KEY } from "../../../plugin/src/reports/history.ts";
import { toMs } from "../../../plugin/src/reports/when.ts";
import type { Outcome, Report } from "../../../src/api/v1alpha1.ts";

export interface Bar {
  startMs: number;
  counts: Record<Outcome, number>;
}

export interface HistoryBars {
  bars: Bar[];
  isByHour: boolean;
  /** True when occurrences may be missing or stand at another time. */
  isAtLeast: boolean;
  /** Occurrences before the first bar. */
  earlier: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Hours and days that a report keeps, the last one included. */
const HOURS = 48;
const DAYS = 31;

/** Reads the bars; undefined where the report has no history. */
export function readBars({ summary, coverage }: Report): HistoryBars | undefined {
  const { history, occurrences } = summary;
  if (history === undefined) return undefined;
  const firstMs = toMs(summary.firstSeen);
  const lastMs = toMs(summary.lastSeen);
  const isByHour = roundDown(lastMs, HOUR_MS) - (HOURS - 1) * HOUR_MS <= firstMs;
  const [step, length, entries] = isByHour ? [HOUR_MS, HOURS, history.hourly] : [DAY_MS, DAYS, history.daily];
  const endMs = roundDown(lastMs, step);
  const startMs = Math.max(roundDown(firstMs, step), endMs - (length - 1) * step);
  const byStart = new Map(entries.map((entry) => [toMs(entry.start), entry]));
  const bars: Bar[] = [];
  let shown = 0;
  for (let at = startMs; at <= endMs; at += step) {
    const entry = byStart.get(at);
    const read = (outcome: Outcome) => entry?.[HISTORY_KEY[outcome]] ?? 0;
    const counts = { Allowed: read("Allowed"), Unknown: read("Unknown"), Prevented: read("Prevented") };
    shown += sumBar({ startMs: at, counts });
    bars.push({ startMs: at, counts });
  }
  return {
    bars,
    isByHour,
    isAtLeast: history.lowerBound === true || coverage.lowerBound,
    earlier: Math.max(0, occurrences - shown),
  };
}

/** All outcomes of a bar together. */
export function sumBar({ counts }: Bar): number {
  return counts.Allowed + counts.Unknown + counts.Prevented;
}

function roundDown(ms: number, step: number): number {
  return Math.floor(ms / step) * step;
}
