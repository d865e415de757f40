// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The history of a summary: written from buckets, and read back into them.
// Invariant: reading back what was written gives the same buckets.

import { type Bucket, DAY_US, DAYS, emptyHistory, type History, HOURS } from "../aggregate/counts/history.ts";
import type { HistoryEntry, Summary, SummaryHistory } from "../api/v1alpha1.ts";
import { HOUR_US } from "../lib/time.ts";

/** `2026-11-23T10:00:00` */
const SECONDS_LENGTH = 19;

export function renderHistory(history: History): SummaryHistory {
  return {
    hourly: history.hours.map((bucket) => renderBucket(bucket, HOUR_US)),
    daily: history.days.map((bucket) => renderBucket(bucket, DAY_US)),
    ...(history.isLowerBound ? { lowerBound: true } : {}),
  };
}

function renderBucket([index, prevented, allowed, unknown]: Bucket, unitUs: number): HistoryEntry {
  return {
    start: `${new Date((index * unitUs) / 1000).toISOString().slice(0, SECONDS_LENGTH)}Z`,
    ...(prevented > 0 ? { prevented } : {}),
    ...(allowed > 0 ? { allowed } : {}),
    ...(unknown > 0 ? { unknown } : {}),
  };
}

/** Reads the history of a stored report. Entries that make no sense are left out, and make it a lower bound. */
export function parseHistory(summary: Summary | undefined): History {
  const written = summary?.history;
  if (!written) return { ...emptyHistory(), isLowerBound: (summary?.occurrences ?? 0) > 0 };
  const hours = parseBuckets(written.hourly, HOUR_US, HOURS);
  const days = parseBuckets(written.daily, DAY_US, DAYS);
  const isWhole = hours.length === (written.hourly ?? []).length && days.length === (written.daily ?? []).length;
  return { hours, days, isLowerBound: !isWhole || written.lowerBound === true };
}

function parseBuckets(entries: readonly HistoryEntry[] | undefined, unitUs: number, window: number): Bucket[] {
  const buckets: Bucket[] = [];
  for (const { start, prevented, allowed, unknown } of (entries ?? []).slice(-window)) {
    const index = (Date.parse(start) * 1000) / unitUs;
    const newest = buckets.at(-1)?.[0] ?? -1;
    if (!Number.isInteger(index) || index <= newest) continue;
    buckets.push([index, toCount(prevented), toCount(allowed), toCount(unknown)]);
  }
  const oldest = (buckets.at(-1)?.[0] ?? 0) - window;
  return buckets.filter(([index]) => index > oldest);
}

/** Takes a number of a stored report that is no count for 0. */
export function toCount(value: number | undefined): number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}
