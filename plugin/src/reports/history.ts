// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Occurrences over time, as the summaries of reports keep them: by hour for 48 hours, by day for 31 days before the
// last occurrence. Reports of earlier versions have no history; theirs is unknown.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { toMs } from "./when.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const HOURS = 48;
const DAYS = 31;

/** Occurrences by outcome from `startMs` to `endMs`. */
export interface Span {
  startMs: number;
  endMs: number;
  prevented?: number;
  allowed?: number;
  unknown?: number;
}

export const HISTORY_KEY = { Allowed: "allowed", Prevented: "prevented", Unknown: "unknown" } as const;

/**
 * Returns the history that reaches back to `fromMs`, by hour where it does and else by day; its first entry may begin
 * before. Undefined where it is unknown: no history, one that may miss something, or one that does not reach back.
 */
export function readHistorySince(report: Report, fromMs: number): Span[] | undefined {
  const { history, firstSeen, lastSeen } = report.summary;
  if (history === undefined || history.lowerBound === true) return undefined;
  const lastMs = toMs(lastSeen);
  const firstMs = toMs(firstSeen);
  for (const [entries, step, length] of [
    [history.hourly, HOUR_MS, HOURS],
    [history.daily, DAY_MS, DAYS],
  ] as const) {
    // From the start of the hour or day, in UTC.
    const reachesMs = Math.floor(lastMs / step) * step - (length - 1) * step;
    if (fromMs < reachesMs && firstMs < reachesMs) continue;
    return entries
      .map(({ start, ...counts }) => ({ ...counts, startMs: toMs(start), endMs: toMs(start) + step }))
      .filter(({ endMs }) => endMs > fromMs);
  }
  return undefined;
}
