// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What of one ledger has changed since the journal last took note of it.
// Invariant: rows hold absolute counts of one set each, so that a row written twice, or late, says nothing wrong. A
// change is told at least once; an entry with many changes between two batches is told once. Evidence is told with the
// first of them and then now and then: what a death leaves of it is no older than EVIDENCE_EVERY_S.

import type { Evidence } from "../api/v1alpha1.ts";
import type { PolicyFacts } from "../ingest/violation.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Entry } from "./entry.ts";
import type { Tally } from "./tally.ts";
import { emptyTotals, type Totals } from "./totals.ts";

/** What one pod did within a set of counts. */
export interface PodRow {
  key: string;
  name: string;
  node: string;
  occurrences: number;
  lastUs: EpochUs;
}

/** One violation's part of a set of counts. */
export interface ViolationRow {
  /** As identityKey makes it. */
  key: string;
  occurrences: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
  /** Undefined: what was told before is still good enough. */
  evidence: Evidence | undefined;
  /** Those that have changed; what is not among them stays as it was. */
  pods: PodRow[];
}

/** A set of counts that travels, or will travel, in one write of the report. */
export interface LayerRow {
  seq: number;
  /** Of the whole set, whichever of its violations the row holds. */
  totals: Totals;
  policy: PolicyFacts;
  violations: ViolationRow[];
}

/** One report's changes. */
export interface ReportChange {
  namespace: string | undefined;
  policyName: string;
  /** Everything known of the report is to be forgotten first. */
  isAnew: boolean;
  /** Sets up to this one stand in the stored report and are to be forgotten; 0 for none. */
  persistedSeq: number;
  layers: LayerRow[];
}

/** A set of counts as the ledger holds it. */
export interface OpenSet {
  seq: number;
  totals: Totals;
}

/**
 * How much newer than what the journal knows evidence is to be told again. Reading an alert whole costs about ten times
 * what taking it costs, and in most cases the next alert comes first.
 */
const EVIDENCE_EVERY_S = 10;

export class ChangeLog {
  #pending = new Set<Entry>();
  #inFlight = new Set<Entry>();
  /** The pending totals as they were when told. */
  #told: Totals = emptyTotals();
  #isInFlightTold = true;
  #persistedSeq = 0;
  #isAnew = false;

  /** The entry's pending counts have changed. */
  note(entry: Entry): void {
    if (entry.isNoted) return;
    entry.isNoted = true;
    this.#pending.add(entry);
  }

  /** The entry has left the ledger: a list of what is gone would grow without bound where alerts outrun the journal. */
  left(entry: Entry): void {
    this.#pending.delete(entry);
  }

  /** What was pending is in flight. */
  taken(): void {
    for (const entry of this.#pending) entry.isNoted = false;
    this.#inFlight = this.#pending;
    this.#pending = new Set();
    this.#told = emptyTotals();
    this.#isInFlightTold = false;
  }

  /** The set in flight stands in the stored report. */
  landed(seq: number): void {
    this.#persistedSeq = seq;
    this.#inFlight = new Set();
    this.#isInFlightTold = true;
  }

  /** All that is open is to be told again, as if nothing had been told of the report. */
  reset(inFlight: Iterable<Entry>, pending: Iterable<Entry>): void {
    for (const entry of this.#pending) entry.isNoted = false;
    this.#inFlight = new Set(inFlight);
    this.#pending = new Set();
    for (const entry of this.#inFlight) forgetTold(entry.inFlight);
    for (const entry of pending) {
      forgetTold(entry.pending);
      this.note(entry);
    }
    this.#told = emptyTotals();
    this.#isInFlightTold = false;
    this.#isAnew = true;
  }

  /** Entries that wait to be told. */
  get waiting(): number {
    return this.#pending.size + this.#inFlight.size;
  }

  hasChanges(pending: Totals): boolean {
    return (
      this.#pending.size > 0 ||
      this.#inFlight.size > 0 ||
      this.#persistedSeq > 0 ||
      this.#isAnew ||
      !this.#isInFlightTold ||
      !isSame(pending, this.#told)
    );
  }

  /** Tells what stands in the stored report by now, and nothing else; 0 for nothing. */
  drainPersisted(): number {
    const seq = this.#persistedSeq;
    this.#persistedSeq = 0;
    return seq;
  }

  /**
   * Tells what has changed: about `budget` rows of violations and pods, and the rest the next time. After a reset all at
   * once.
   */
  drain(
    inFlight: OpenSet | undefined,
    pending: OpenSet,
    policy: PolicyFacts,
    budget: number,
  ): Pick<ReportChange, "isAnew" | "persistedSeq" | "layers"> {
    const change = { isAnew: this.#isAnew, persistedSeq: this.#persistedSeq, layers: [] as LayerRow[] };
    // Between two parts of it nothing would be known of the second.
    let left = this.#isAnew ? Number.POSITIVE_INFINITY : budget;
    this.#isAnew = false;
    this.#persistedSeq = 0;
    if (inFlight && !(this.#isInFlightTold && this.#inFlight.size === 0)) {
      const violations = rowsOf(this.#inFlight, "inFlight", left);
      left -= costOf(violations);
      this.#isInFlightTold = true;
      change.layers.push({ ...inFlight, policy, violations });
    }
    if (left > 0 && (this.#pending.size > 0 || !isSame(pending.totals, this.#told))) {
      const violations = rowsOf(this.#pending, "pending", left);
      this.#told = pending.totals;
      change.layers.push({ ...pending, policy, violations });
    }
    return change;
  }
}

/** Takes entries off the list until their rows have used the budget up. */
function rowsOf(entries: Set<Entry>, where: "inFlight" | "pending", budget: number): ViolationRow[] {
  const rows: ViolationRow[] = [];
  let left = budget;
  for (const entry of entries) {
    if (left <= 0) break;
    entries.delete(entry);
    if (where === "pending") entry.isNoted = false;
    const tally = entry[where];
    if (!tally) continue;
    const row = rowOf(entry.key, tally);
    rows.push(row);
    left -= 1 + row.pods.length;
  }
  return rows;
}

function rowOf(key: string, tally: Tally): ViolationRow {
  const pods: PodRow[] = [];
  for (const [podKey, pod] of tally.pods) {
    if (pod.told === pod.occurrences) continue;
    pod.told = pod.occurrences;
    pods.push({
      key: podKey,
      name: pod.name,
      node: pod.node,
      occurrences: pod.occurrences,
      lastUs: pod.lastUs,
    });
  }
  const { occurrences, firstUs, lastUs } = tally;
  return { key, occurrences, firstUs, lastUs, evidence: untoldEvidence(tally), pods };
}

function untoldEvidence(tally: Tally): Evidence | undefined {
  const { latest, toldSecond } = tally;
  if (latest === undefined) return undefined;
  const second = Math.floor(latest.timeUs / 1_000_000);
  if (toldSecond > 0 && second - toldSecond < EVIDENCE_EVERY_S) return undefined;
  tally.toldSecond = second;
  return latest.read();
}

function costOf(rows: readonly ViolationRow[]): number {
  return rows.reduce((sum, { pods }) => sum + 1 + pods.length, 0);
}

function forgetTold(tally: Tally | undefined): void {
  if (tally) tally.toldSecond = 0;
  for (const pod of tally?.pods.values() ?? []) pod.told = undefined;
}

/** They only grow while a set is pending, and a list of coverageGaps is never changed in place. */
function isSame(a: Totals, b: Totals): boolean {
  const sum = (t: Totals) => t.occurrences + t.gaps + t.throttleNotices + t.rejected;
  const isEmpty = a.coverageGaps.length === 0 && b.coverageGaps.length === 0;
  return sum(a) === sum(b) && (isEmpty || a.coverageGaps === b.coverageGaps);
}
