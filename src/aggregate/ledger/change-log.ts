// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes of one ledger since the journal last took note of it: of its totals, and of single violations.
// Invariant: rows hold absolute counts of one set each, so that a row written twice, or late, says nothing wrong. A
// change is written at least once; an entry with many changes between two batches is written once. Evidence is written
// with the first of them and then now and then, and not where the stored report's is new enough: what a death leaves of it
// is older by EVIDENCE_EVERY_S at most, with a stored one by STORED_EVIDENCE_S.

import type { Evidence } from "../../api/v1alpha1.ts";
import { toSecond } from "../../ingest/cells/cell-counts.ts";
import type { CellFacts } from "../../ingest/cells/cell-owner.ts";
import type { HeldCounts } from "../../ingest/cells/cell-records.ts";
import type { PolicyFacts } from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { Tally } from "../counts/tally.ts";
import { emptyTotals, isSameState, type Totals } from "../counts/totals.ts";
import type { Entry } from "../entries/entry.ts";

/** One pod's part of a violation. */
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
  /** `text` of the rule that the newest of them matched. */
  rule: string;
  /** Undefined: the journal's is new enough. */
  evidence: Evidence | undefined;
  /** Those that have changed; the others stay as they are. */
  pods: PodRow[];
}

/** A set of counts, which one write of the report brings. */
export interface LayerRow {
  seq: number;
  /** Totals of the whole set, also where the row has a part of its violations. */
  totals: Totals;
  policy: PolicyFacts;
  violations: ViolationRow[];
}

/** One report's changes. */
export interface ReportChange {
  namespace: string | undefined;
  policyName: string;
  /** All rows of the report are removed first. */
  removesRows: boolean;
  /** The stored report holds the sets up to this one: their rows are removed. 0 for none. */
  persistedSeq: number;
  layers: LayerRow[];
}

/** A set of counts as the ledger holds it. */
export interface OpenSet {
  seq: number;
  totals: Totals;
}

/** Counts of one entry that are all in one cell. */
export interface CountsInCell {
  counts: HeldCounts;
  facts: CellFacts;
  /** Reads the newest alert, for the journal. */
  readEvidence: () => Evidence;
}

/** Counts of a set, some of them in cells. */
export interface PendingCells {
  readonly totals: Totals;
  /** Returns the counts of an entry where they are all in one cell; else has them in its tally. */
  readCell(entry: Entry): CountsInCell | undefined;
  /** Has all of them in tallies. */
  takeCells(): Steps;
}

/** The set that no write has taken. */
export interface PendingSet {
  seq: number;
  counts: PendingCells;
}

/**
 * The evidence is journaled again when it is newer by this many seconds. Reading an alert whole costs about ten times
 * what taking it costs, and in most cases the next alert comes first.
 */
const EVIDENCE_EVERY_S = 10;
/** Seconds by which evidence must be newer than that of the stored report for the journal to take it. */
const STORED_EVIDENCE_S = 60;

export class ChangeLog {
  #pending = new Set<Entry>();
  #inFlight = new Set<Entry>();
  /** The pending totals as the journal has them. */
  #writtenTotals: Totals = emptyTotals();
  #isInFlightWritten = true;
  #persistedSeq = 0;
  #removesRows = false;

  /** Notes that the entry's pending counts have changed. */
  note(entry: Entry): void {
    this.#pending.add(entry);
  }

  /** Drops an entry that has left the ledger: where alerts outrun the journal the list would grow without bound. */
  left(entry: Entry): void {
    this.#pending.delete(entry);
  }

  /** Moves the pending changes in flight. */
  taken(): void {
    this.#inFlight = this.#pending;
    this.#pending = new Set();
    this.#writtenTotals = emptyTotals();
    this.#isInFlightWritten = false;
  }

  /** Notes that the totals in flight have changed. */
  noteInFlight(): void {
    this.#isInFlightWritten = false;
  }

  /** Notes that the stored report holds the set in flight. */
  markPersisted(seq: number): void {
    this.#persistedSeq = seq;
    this.#inFlight = new Set();
    this.#isInFlightWritten = true;
  }

  /** Has the journal remove all rows of the report and write again all that is open. */
  reset(inFlight: Iterable<Entry>, pending: Iterable<Entry>): void {
    this.#inFlight = new Set(inFlight);
    this.#pending = new Set();
    for (const entry of this.#inFlight) forgetWritten(entry.inFlight);
    for (const entry of pending) {
      forgetWritten(entry.pending);
      this.note(entry);
    }
    this.#forgetTotals();
    this.#removesRows = true;
  }

  /** Entries that wait to be written. */
  get waiting(): number {
    return this.#pending.size + this.#inFlight.size;
  }

  hasChanges(pending: Totals): boolean {
    return this.waiting > 0 || this.haveTotalsChanged(pending);
  }

  haveTotalsChanged(pending: Totals): boolean {
    return (
      this.#persistedSeq > 0 ||
      this.#removesRows ||
      !this.#isInFlightWritten ||
      !isSameState(pending, this.#writtenTotals)
    );
  }

  /** Returns the number up to which the stored report holds all sets, once; 0 for none. */
  drainPersisted(): number {
    const seq = this.#persistedSeq;
    this.#persistedSeq = 0;
    return seq;
  }

  /** Returns what has changed but for violations. */
  drainTotals(
    inFlight: OpenSet | undefined,
    pending: OpenSet,
    policy: PolicyFacts,
  ): Pick<ReportChange, "removesRows" | "persistedSeq" | "layers"> {
    const layers: LayerRow[] = [];
    if (inFlight && !this.#isInFlightWritten) layers.push({ ...inFlight, policy, violations: [] });
    if (!isSameState(pending.totals, this.#writtenTotals)) layers.push({ ...pending, policy, violations: [] });
    const removesRows = this.#removesRows;
    this.#removesRows = false;
    this.#isInFlightWritten = true;
    this.#writtenTotals = pending.totals;
    return { removesRows, persistedSeq: this.drainPersisted(), layers };
  }

  /** Returns changed violations of the set in flight, then of the pending one, in about `budget` rows. */
  drainViolations(budget: number, counts: PendingCells): { inFlight: ViolationRow[]; pending: ViolationRow[] } {
    const toInFlightRow = (entry: Entry) => entry.inFlight && toRow(entry, entry.inFlight);
    const inFlight = toRows(this.#inFlight, toInFlightRow, budget);
    const toPendingRow = (entry: Entry) => {
      const inCell = counts.readCell(entry);
      return inCell ? toCellRow(entry, inCell) : entry.pending && toRow(entry, entry.pending);
    };
    return { inFlight, pending: toRows(this.#pending, toPendingRow, budget - getCost(inFlight)) };
  }

  /** Takes back a drained change that the journal could not take; `entries` are those of its violations. */
  undo({ removesRows, persistedSeq }: ReportChange, entries: Iterable<Entry>): void {
    this.#removesRows ||= removesRows;
    this.#persistedSeq = Math.max(this.#persistedSeq, persistedSeq);
    this.#forgetTotals();
    for (const entry of entries) {
      forgetWritten(entry.inFlight);
      forgetWritten(entry.pending);
      if (entry.inFlight) this.#inFlight.add(entry);
      if (entry.pending) this.note(entry);
    }
  }

  #forgetTotals(): void {
    this.#writtenTotals = emptyTotals();
    this.#isInFlightWritten = false;
  }
}

/** Takes entries off the list until their rows have used up the budget. */
function toRows(
  entries: Set<Entry>,
  createRow: (entry: Entry) => ViolationRow | undefined,
  budget: number,
): ViolationRow[] {
  const rows: ViolationRow[] = [];
  let left = budget;
  for (const entry of entries) {
    if (left <= 0) break;
    entries.delete(entry);
    const row = createRow(entry);
    if (!row) continue;
    rows.push(row);
    left -= 1 + row.pods.length;
  }
  return rows;
}

function toRow(entry: Entry, tally: Tally): ViolationRow {
  const pods: PodRow[] = [];
  for (const [podKey, pod] of tally.pods) {
    if (pod.journaled === pod.occurrences) continue;
    pod.journaled = pod.occurrences;
    pods.push({ key: podKey, name: pod.name, node: pod.node, occurrences: pod.occurrences, lastUs: pod.lastUs });
  }
  const { occurrences, firstUs, lastUs, rule } = tally;
  const evidence = takeNewEvidence(entry, tally);
  return { key: entry.key, occurrences, firstUs, lastUs, rule: rule.text, evidence, pods };
}

/** Makes the row of counts that are in a cell. */
function toCellRow(entry: Entry, found: CountsInCell): ViolationRow {
  const { occurrences, firstUs, lastUs, journaledSecond } = found.counts;
  const { pod, podKey, node, rule } = found.facts;
  const isWanted = isEvidenceWanted(entry, lastUs, journaledSecond);
  const evidence = isWanted ? found.readEvidence() : undefined;
  const pods = pod === "" ? [] : [{ key: podKey, name: pod, node, occurrences, lastUs }];
  return { key: entry.key, occurrences, firstUs, lastUs, rule: rule.text, evidence, pods };
}

function takeNewEvidence(entry: Entry, tally: Tally): Evidence | undefined {
  const { latest, journaledSecond } = tally;
  if (latest === undefined || !isEvidenceWanted(entry, latest.timeUs, journaledSecond)) return undefined;
  tally.journaledSecond = toSecond(latest.timeUs);
  return latest.read();
}

function isEvidenceWanted({ stored }: Entry, us: EpochUs, journaledSecond: number): boolean {
  const second = toSecond(us);
  if (journaledSecond > 0 && second - journaledSecond < EVIDENCE_EVERY_S) return false;
  return stored?.latest === undefined || second - toSecond(stored.latest.timeUs) >= STORED_EVIDENCE_S;
}

/** Returns the number of rows. */
export function getCost(rows: readonly ViolationRow[]): number {
  return rows.reduce((sum, { pods }) => sum + 1 + pods.length, 0);
}

function forgetWritten(tally: Tally | undefined): void {
  if (tally) tally.journaledSecond = 0;
  for (const pod of tally?.pods.values() ?? []) pod.journaled = undefined;
}
