// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes of one ledger since the journal last took note of it: of its totals, and of single violations.
// Invariant: rows hold absolute counts of one set each, so that a row written twice, or late, says nothing wrong. A
// change is written at least once; an entry with many changes between two batches is written once. Evidence is written
// with the first of them and then now and then, and not where the stored report's is new enough: what a death leaves of it
// is older by EVIDENCE_EVERY_S at most, with a stored one by STORED_EVIDENCE_S.

import type { PolicyFacts } from "../../ingest/violation/violation.ts";
import { ListedSet } from "../../lib/collections/listed-set.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import { type Totals, TotalsMark } from "../counts/totals.ts";
import {
  type CountsInCell,
  forgetWritten,
  getCost,
  toCellRow,
  toRow,
  type ViolationRow,
} from "../entries/change-rows.ts";
import type { Entry } from "../entries/entry.ts";

/** A set of counts, which one write of the report brings. */
export interface LayerRow {
  seq: number;
  /** Totals of the whole set, also where the row has a part of its violations. */
  totals: Totals;
  policy: PolicyFacts;
  violations: ViolationRow[];
}

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

/** Counts of a set, some of them in cells. */
export interface PendingCells {
  readonly totals: Totals;
  /** Returns the counts of an entry where they are all in one cell; else has them in its tally. */
  readCell(entry: Entry): CountsInCell | undefined;
  /** Has all of an entry in its tally. */
  takeOwnCells(entry: Entry): void;
}

export interface PendingSet {
  seq: number;
  counts: PendingCells;
}

/** A step of taking cells costs about as much as this number of rows. */
const CELLS_COST = 128;

export class ChangeLog {
  #pending = new ListedSet<"notedPosition", Entry>("notedPosition");
  #inFlight: Entry[] = [];
  /** After a reset, through all that is in flight and all that is pending; before the latter these cells are taken. */
  #inFlightPass = new EntryPass();
  #pendingPass = new EntryPass();
  #cells: Steps | undefined;
  readonly #writtenTotals = new TotalsMark();
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
    this.#inFlight = [...this.#pending.list];
    this.#inFlightPass = this.#pendingPass;
    this.#forgetPending();
    this.#writtenTotals.clear();
    this.#isInFlightWritten = false;
  }

  /** Notes that the totals in flight have changed, and an entry that came to them. */
  noteInFlight(entry?: Entry): void {
    this.#isInFlightWritten = false;
    if (entry) this.#inFlight.push(entry);
  }

  /** Notes that the stored report holds the set in flight. */
  markPersisted(seq: number): void {
    this.#persistedSeq = seq;
    this.#inFlight = [];
    this.#inFlightPass = new EntryPass();
    this.#isInFlightWritten = true;
  }

  /**
   * Has the journal remove all rows of the report and write again all that is open: the entries, which are visited with the
   * batches that they are in, and what is in cells.
   */
  reset(inFlight: readonly Entry[], pending: readonly Entry[], cells: Steps): void {
    this.#inFlight = [];
    this.#inFlightPass = new EntryPass(inFlight);
    this.#forgetPending();
    this.#pendingPass = new EntryPass(pending);
    this.#cells = cells;
    this.#forgetTotals();
    this.#removesRows = true;
  }

  #forgetPending(): void {
    this.#pending = new ListedSet("notedPosition");
    this.#pendingPass = new EntryPass();
    this.#cells = undefined;
  }

  /** Entries that wait to be written, about: some may be counted twice. */
  get waiting(): number {
    const inFlight = this.#inFlightPass.left + this.#inFlight.length;
    return inFlight + (this.#cells ? 1 : 0) + this.#pendingPass.left + this.#pending.size;
  }

  hasChanges(pending: Totals): boolean {
    return this.waiting > 0 || this.haveTotalsChanged(pending);
  }

  haveTotalsChanged(pending: Totals): boolean {
    return (
      this.#persistedSeq > 0 || this.#removesRows || !this.#isInFlightWritten || !this.#writtenTotals.matches(pending)
    );
  }

  /** Returns the number up to which the stored report holds all sets, once; 0 for none. */
  drainPersisted(): number {
    const seq = this.#persistedSeq;
    this.#persistedSeq = 0;
    return seq;
  }

  /** Returns all changes except those of violations. */
  drainTotals(
    inFlight: OpenSet | undefined,
    pending: OpenSet,
    policy: PolicyFacts,
  ): Pick<ReportChange, "removesRows" | "persistedSeq" | "layers"> {
    const layers: LayerRow[] = [];
    if (inFlight && !this.#isInFlightWritten) layers.push({ ...inFlight, policy, violations: [] });
    if (!this.#writtenTotals.matches(pending.totals)) layers.push({ ...pending, policy, violations: [] });
    const removesRows = this.#removesRows;
    this.#removesRows = false;
    this.#isInFlightWritten = true;
    this.#writtenTotals.set(pending.totals);
    return { removesRows, persistedSeq: this.drainPersisted(), layers };
  }

  /** Returns changed violations of the set in flight, then of the pending one, in about `budget` rows. */
  drainViolations(budget: number, counts: PendingCells): { inFlight: ViolationRow[]; pending: ViolationRow[] } {
    const toInFlightRow = (entry: Entry) => entry.inFlight && toRow(entry, entry.inFlight);
    const inFlight = toRows(() => this.#nextInFlight(), toInFlightRow, budget);
    let left = budget - getCost(inFlight);
    for (; left > 0 && this.#cells; left -= CELLS_COST) if (this.#cells.next().done) this.#cells = undefined;
    const toPendingRow = (entry: Entry) => {
      const inCell = counts.readCell(entry);
      return inCell ? toCellRow(entry, inCell) : entry.pending && toRow(entry, entry.pending);
    };
    return { inFlight, pending: toRows(() => this.#nextPending(), toPendingRow, left) };
  }

  #nextInFlight(): Entry | undefined {
    const again = this.#inFlightPass.next();
    forgetWritten(again?.inFlight);
    return again ?? this.#inFlight.pop();
  }

  #nextPending(): Entry | undefined {
    const again = this.#pendingPass.next();
    if (!again) return this.#pending.takeNext();
    forgetWritten(again.pending);
    this.#pending.delete(again);
    return again;
  }

  /** Takes back a drained change that the journal did not store; `entries` are those of its violations. */
  undo({ removesRows, persistedSeq }: ReportChange, entries: Iterable<Entry>): void {
    this.#removesRows ||= removesRows;
    this.#persistedSeq = Math.max(this.#persistedSeq, persistedSeq);
    this.#forgetTotals();
    for (const entry of entries) {
      forgetWritten(entry.inFlight);
      forgetWritten(entry.pending);
      if (entry.inFlight) this.#inFlight.push(entry);
      if (entry.pending) this.note(entry);
    }
  }

  #forgetTotals(): void {
    this.#writtenTotals.clear();
    this.#isInFlightWritten = false;
  }
}

/** Takes entries until their rows have used up the budget. */
function toRows(
  next: () => Entry | undefined,
  createRow: (entry: Entry) => ViolationRow | undefined,
  budget: number,
): ViolationRow[] {
  const rows: ViolationRow[] = [];
  let left = budget;
  while (left > 0) {
    const entry = next();
    if (!entry) break;
    const row = createRow(entry);
    if (!row) continue;
    rows.push(row);
    left -= 1 + row.pods.length;
  }
  return rows;
}

type Entries = readonly Entry[];

/**
 * A way through entries from the last one to the first: others may be added and removed meanwhile; all that are there at
 * the start and not removed are visited.
 */
class EntryPass {
  readonly #entries: Entries;
  #next = Number.POSITIVE_INFINITY;

  /** Of entries that are removed the last one must take the position. */
  constructor(entries: Entries = []) {
    this.#entries = entries;
  }

  get left(): number {
    return Math.min(this.#next, this.#entries.length);
  }

  next(): Entry | undefined {
    if (this.left === 0) return undefined;
    this.#next = this.left - 1;
    return this.#entries[this.#next];
  }
}
