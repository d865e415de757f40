// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// When it happened, as far as the reports tell: they keep the first and the last time of a violation, and how often.
// Invariant: pure; what can't be placed is counted as such, never spread or guessed.

import type { Outcome } from "../../../src/api/v1alpha1.ts";
import type { ViolationRef } from "./report-view.ts";
import { msOf } from "./when.ts";

export interface Bucket {
  fromMs: number;
  toMs: number;
  /** Occurrences that are known to lie here: at least so many. */
  known: Record<Outcome, number>;
  /** Violations that were first seen here. */
  fresh: number;
}

export interface Timeline {
  buckets: Bucket[];
  /** Occurrences between the first and the last time of their violation, of which nothing more is known. */
  unplaced: number;
}

/** Divides the time from `fromMs` to `toMs` into `count` parts of equal length and places what can be placed. */
export function timelineOf(
  found: readonly ViolationRef[],
  fromMs: number,
  toMs: number,
  count: number,
): Timeline {
  const step = Math.max(1, (toMs - fromMs) / count);
  const buckets = Array.from({ length: count }, (_, i): Bucket => {
    const known = { Allowed: 0, Prevented: 0, Unknown: 0 };
    return { fromMs: fromMs + i * step, toMs: fromMs + (i + 1) * step, known, fresh: 0 };
  });
  // The end belongs to the last part.
  const at = (ms: number) =>
    ms < fromMs || ms > toMs ? -1 : Math.min(count - 1, Math.floor((ms - fromMs) / step));
  let unplaced = 0;
  for (const { violation } of found) {
    const { outcome, occurrences } = violation;
    const first = at(msOf(violation.firstSeen));
    const last = at(msOf(violation.lastSeen));
    const fresh = buckets[first];
    if (fresh) fresh.fresh += 1;
    if (first === last && first >= 0) {
      add(buckets[first], outcome, occurrences);
      continue;
    }
    // One at each end is certain, for they are in different parts (or one of them is outside).
    const ends = occurrences > 1 ? [first, last] : [last];
    for (const end of ends) add(buckets[end], outcome, 1);
    unplaced += Math.max(0, occurrences - ends.length);
  }
  return { buckets, unplaced };
}

function add(bucket: Bucket | undefined, outcome: Outcome, occurrences: number): void {
  if (bucket) bucket.known[outcome] = (bucket.known[outcome] ?? 0) + occurrences;
}

/** All outcomes of a bucket together. */
export function totalOf({ known }: Bucket): number {
  return known.Allowed + known.Prevented + known.Unknown;
}

/** The time from the first to the last that any of these was seen; undefined when there are none. */
export function spanOf(found: readonly ViolationRef[]): { fromMs: number; toMs: number } | undefined {
  const times = found
    .flatMap(({ violation }) => [msOf(violation.firstSeen), msOf(violation.lastSeen)])
    .filter((ms) => ms > 0);
  if (times.length === 0) return undefined;
  const ends = { fromMs: Number.POSITIVE_INFINITY, toMs: 0 };
  for (const ms of times) {
    ends.fromMs = Math.min(ends.fromMs, ms);
    ends.toMs = Math.max(ends.toMs, ms);
  }
  return ends;
}
