// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a whole report. Invariant: as with tallies, merging is associative and commutative.

import type { Expired, Outcome } from "../../api/v1alpha1.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type CoverageGap, mergeCoverageGaps } from "./coverage-gap.ts";
import { addToHistory, emptyHistory, type History, mergeHistory } from "./history.ts";

export interface Totals {
  occurrences: number;
  prevented: number;
  allowed: number;
  unknown: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
  history: History;
  gaps: number;
  throttleNotices: number;
  /** Alerts that could not be read and may have belonged here. */
  rejected: number;
  /** Part of `occurrences` counted without details, because there was no memory for more. */
  withoutDetails: number;
  /** Violations that left the list for their age; their occurrences stay in the counts. */
  expired: Readonly<Expired>;
  /** The newest of what gaps, notices, rejections and occurrences without details were. */
  coverageGaps: readonly CoverageGap[];
}

const NOTHING: Readonly<Expired> = { violations: 0, occurrences: 0 };

export function mergeExpired(a: Readonly<Expired>, b: Readonly<Expired>): Expired {
  return { violations: a.violations + b.violations, occurrences: a.occurrences + b.occurrences };
}

/** The same totals where nothing has left the stored report's list. */
export function clearExpiry(totals: Totals, withoutDetails: number): Totals {
  return { ...totals, expired: NOTHING, withoutDetails };
}

export function emptyTotals(): Totals {
  return {
    occurrences: 0,
    prevented: 0,
    allowed: 0,
    unknown: 0,
    firstUs: Number.POSITIVE_INFINITY,
    lastUs: 0,
    history: emptyHistory(),
    gaps: 0,
    throttleNotices: 0,
    rejected: 0,
    withoutDetails: 0,
    expired: NOTHING,
    coverageGaps: [],
  };
}

/** Returns true for totals that change nothing in a report. */
export function isEmpty(totals: Totals): boolean {
  const { occurrences, gaps, throttleNotices, rejected, withoutDetails, coverageGaps } = totals;
  return occurrences + gaps + throttleNotices + rejected + withoutDetails + coverageGaps.length === 0;
}

/** Detects a change of a set of counts: counts only grow, and a list of gaps is never changed in place. */
export class TotalsMark {
  #sum = 0;
  #coverageGaps: readonly CoverageGap[] = NO_GAPS;

  set(totals: Totals): void {
    this.#sum = addUp(totals);
    this.#coverageGaps = totals.coverageGaps;
  }

  /** Marks totals without a count. */
  clear(): void {
    this.#sum = 0;
    this.#coverageGaps = NO_GAPS;
  }

  /** Returns true for totals that are as they were when they were marked. */
  matches(totals: Totals): boolean {
    const haveNoGaps = this.#coverageGaps.length === 0 && totals.coverageGaps.length === 0;
    return this.#sum === addUp(totals) && (haveNoGaps || this.#coverageGaps === totals.coverageGaps);
  }
}

const NO_GAPS: readonly CoverageGap[] = [];

function addUp({ occurrences, gaps, throttleNotices, rejected }: Totals): number {
  return occurrences + gaps + throttleNotices + rejected;
}

/** A copy that later counts leave as it is. */
export function copyTotals(totals: Totals): Totals {
  return { ...totals, history: mergeHistory(totals.history, emptyHistory()) };
}

/** Counts alerts of one outcome and one hour of UTC. */
export function countAlerts(
  totals: Totals,
  outcome: Outcome,
  { occurrences, firstUs, lastUs }: { occurrences: number; firstUs: EpochUs; lastUs: EpochUs },
): void {
  countOutcome(totals, outcome, occurrences, firstUs, lastUs);
  addToHistory(totals.history, outcome, lastUs, occurrences);
}

/** Counts `occurrences` of one outcome between two times, without a known history. */
export function countOutcome(
  totals: Totals,
  outcome: Outcome,
  occurrences: number,
  firstUs: EpochUs,
  lastUs: EpochUs,
): void {
  totals.occurrences += occurrences;
  if (outcome === "Prevented") totals.prevented += occurrences;
  else if (outcome === "Allowed") totals.allowed += occurrences;
  else totals.unknown += occurrences;
  totals.firstUs = Math.min(totals.firstUs, firstUs);
  totals.lastUs = Math.max(totals.lastUs, lastUs);
}

export function subtractOutcomes(all: Totals, part: Totals): Totals {
  return {
    ...all,
    occurrences: all.occurrences - part.occurrences,
    prevented: all.prevented - part.prevented,
    allowed: all.allowed - part.allowed,
    unknown: all.unknown - part.unknown,
  };
}

export function mergeTotals(a: Totals, b: Totals): Totals {
  return {
    occurrences: a.occurrences + b.occurrences,
    prevented: a.prevented + b.prevented,
    allowed: a.allowed + b.allowed,
    unknown: a.unknown + b.unknown,
    firstUs: Math.min(a.firstUs, b.firstUs),
    lastUs: Math.max(a.lastUs, b.lastUs),
    history: mergeHistory(a.history, b.history),
    gaps: a.gaps + b.gaps,
    throttleNotices: a.throttleNotices + b.throttleNotices,
    rejected: a.rejected + b.rejected,
    withoutDetails: a.withoutDetails + b.withoutDetails,
    expired: mergeExpired(a.expired, b.expired),
    coverageGaps: mergeCoverageGaps(a.coverageGaps, b.coverageGaps),
  };
}
