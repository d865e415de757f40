// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Occurrences by hour and by day, in UTC, of one set of counts.
// Invariant: merging is associative and commutative, and the order of alerts is irrelevant: a bucket is dropped only
// when it is older than the window before the newest one, and the newest one only moves forward. At most HOURS + DAYS
// buckets; the data survives JSON.

import type { Outcome } from "../../api/v1alpha1.ts";
import { type EpochUs, HOUR_US } from "../../lib/time.ts";

/** Hours kept: the hour of the newest occurrence and the ones before it. */
export const HOURS = 48;
/** Days kept, likewise. */
export const DAYS = 31;
export const DAY_US = 24 * HOUR_US;

/** Number of the hour or day since the Unix epoch; occurrences prevented, allowed, unknown. */
export type Bucket = [index: number, prevented: number, allowed: number, unknown: number];

export interface History {
  /** In ascending order. */
  hours: Bucket[];
  /** In ascending order. */
  days: Bucket[];
  /** True where occurrences are missing or stand at another time. */
  isLowerBound: boolean;
}

const COLUMN = { Prevented: 1, Allowed: 2, Unknown: 3 } as const;

export function emptyHistory(): History {
  return { hours: [], days: [], isLowerBound: false };
}

export function addToHistory(history: History, outcome: Outcome, timeUs: EpochUs, occurrences = 1): void {
  add(history.hours, Math.floor(timeUs / HOUR_US), outcome, occurrences, HOURS);
  add(history.days, Math.floor(timeUs / DAY_US), outcome, occurrences, DAYS);
}

export function mergeHistory(a: History, b: History): History {
  return {
    hours: merge(a.hours, b.hours, HOURS),
    days: merge(a.days, b.days, DAYS),
    isLowerBound: a.isLowerBound || b.isLowerBound,
  };
}

function add(buckets: Bucket[], index: number, outcome: Outcome, occurrences: number, window: number): void {
  let at = buckets.length - 1;
  // Most alerts are about as new as the one before.
  while (at >= 0 && buckets[at]![0] > index) at--;
  const found = buckets[at];
  if (found !== undefined && found[0] === index) {
    found[COLUMN[outcome]] += occurrences;
    return;
  }
  const newest = buckets.at(-1)?.[0] ?? index;
  if (index <= newest - window) return;
  const bucket: Bucket = [index, 0, 0, 0];
  bucket[COLUMN[outcome]] = occurrences;
  buckets.splice(at + 1, 0, bucket);
  if (index > newest) dropOld(buckets, window);
}

function merge(a: readonly Bucket[], b: readonly Bucket[], window: number): Bucket[] {
  const merged = a.map((bucket): Bucket => [...bucket]);
  for (const [index, prevented, allowed, unknown] of b) {
    if (prevented > 0) add(merged, index, "Prevented", prevented, window);
    if (allowed > 0) add(merged, index, "Allowed", allowed, window);
    if (unknown > 0) add(merged, index, "Unknown", unknown, window);
  }
  return merged;
}

function dropOld(buckets: Bucket[], window: number): void {
  const oldest = buckets.at(-1)![0] - window;
  const kept = buckets.findIndex(([index]) => index > oldest);
  if (kept > 0) buckets.splice(0, kept);
}
