// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a report that no write has taken. Most are in cells until then; the totals include them.
// Invariant: a count is in a cell or in a tally, and in the totals or in a sum.

import type { Outcome } from "../../api/v1alpha1.ts";
import type { CellCounter, CellFacts } from "../../ingest/cells/cell-owner.ts";
import type { CellStore } from "../../ingest/cells/cell-store.ts";
import { OUTCOMES } from "../../ingest/cells/cell-sums.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import { ListedSet } from "../../lib/collections/listed-set.ts";
import { runAtOnce, type Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { KnownPolicy } from "../counts/known-policy.ts";
import { addAlert, addCounts, emptyTally, type Tally } from "../counts/tally.ts";
import { countAlerts, emptyTotals, type Totals } from "../counts/totals.ts";
import type { CountsInCell } from "../entries/change-rows.ts";
import { type Entry, isWritten } from "../entries/entry.ts";
import type { ChangeLog, PendingCells } from "./change-log.ts";

/** Sums of a report that no cell counts for. */
const NO_SUMS = -1;
const CELLS_PER_STEP = 512;

export interface PendingParts {
  cells: CellStore | undefined;
  policy: KnownPolicy;
  /** Weighs an entry whose counts have changed. */
  updateBytes: (entry: Entry) => void;
  /** Receives entries with new counts. */
  log: ChangeLog | undefined;
  /** Called when a cell begins to count for an entry. */
  onCounting: (entry: Entry, facts: CellFacts) => void;
}

export class PendingCounts implements CellCounter, PendingCells {
  sums: number;
  readonly #parts: PendingParts;
  #totals = emptyTotals();
  #entries = new PendingEntries();
  /** Cells that may have counts. */
  #counting: number[] = [];
  /** True where one of them was of an entry that a report written then would not count. */
  #hasNewCell = false;

  constructor(parts: PendingParts) {
    this.#parts = parts;
    this.sums = parts.cells?.sums.reserve() ?? NO_SUMS;
  }

  /** Not a copy. */
  get totals(): Totals {
    this.takeSums();
    return this.#totals;
  }

  set totals(totals: Totals) {
    this.#totals = totals;
  }

  /** Entries with counts in tallies. */
  get entries(): PendingEntries {
    return this.#entries;
  }

  /** True where an entry with counts was in no write when it got them. */
  get haveNew(): boolean {
    return this.#entries.newEntries > 0 || this.#hasNewCell;
  }

  /** Gives away all counts; from now on all are in tallies. */
  take(): PendingEntries {
    runAtOnce(this.takeCells());
    const entries = this.#entries;
    this.#totals = emptyTotals();
    this.#entries = new PendingEntries();
    this.#hasNewCell = false;
    return entries;
  }

  /** Counts one alert; without an entry in the totals only. */
  add(occurrence: Occurrence, entry: Entry | undefined): void {
    const { policy, log } = this.#parts;
    const { violation, timeUs } = occurrence;
    const { outcome } = violation.identity;
    countAlerts(this.#totals, outcome, { occurrences: 1, firstUs: timeUs, lastUs: timeUs });
    policy.learn(violation.policy, timeUs);
    if (!entry) {
      policy.raiseSeverity(violation.rule.severity, timeUs);
      return;
    }
    const isFirst = entry.pending === undefined;
    addAlert(this.ensureTally(entry), occurrence);
    if (isFirst) this.#parts.updateBytes(entry);
    log?.note(entry);
  }

  /** Returns the tally of an entry; begins it where there is none. The caller weighs it. */
  ensureTally(entry: Entry): Tally {
    return entry.pending ?? this.#beginTally(entry);
  }

  takeSums(): void {
    const { cells } = this.#parts;
    if (!cells || this.sums === NO_SUMS) return;
    // The journal asks every report for its totals twenty times a second.
    for (let i = 0; i < OUTCOMES.length; i++) {
      const counts = cells.sums.take(this.sums + i);
      if (counts) countAlerts(this.#totals, OUTCOMES[i] as Outcome, counts);
    }
  }

  /** Drops the sums, of a report that is dropped. No cell may count for it any more. */
  release(): void {
    if (this.sums !== NO_SUMS) this.#parts.cells?.sums.release(this.sums);
    this.sums = NO_SUMS;
  }

  /** The policy is known from the first alert of the counts; from their newest as soon as they are taken. */
  noteCounting(cell: number, entry: Entry, sinceUs: EpochUs | undefined): void {
    const { cells, policy, log, onCounting } = this.#parts;
    log?.note(entry);
    if (sinceUs === undefined) return;
    this.#counting.push(cell);
    this.#hasNewCell ||= !isWritten(entry);
    const facts = (cells as CellStore).owners.getFacts(cell);
    policy.learn(facts.policy, sinceUs);
    onCounting(entry, facts);
  }

  takeCount(cell: number, entry: Entry): void {
    const { cells, policy } = this.#parts;
    const counts = cells?.take(cell, entry.pending?.latest);
    if (!cells || !counts) return;
    const isFirst = entry.pending === undefined;
    const facts = cells.owners.getFacts(cell);
    policy.learn(facts.policy, counts.lastUs);
    addCounts(entry.pending ?? this.#beginTally(entry), facts, counts);
    if (isFirst) this.#parts.updateBytes(entry);
  }

  /** Returns the counts of an entry where they are all in one cell; else has them in its tally. */
  readCell(entry: Entry): CountsInCell | undefined {
    const { cells } = this.#parts;
    if (!cells) return undefined;
    const own = [...this.#listCells(entry)];
    for (const cell of own) cells.counts.unnote(cell);
    const [only] = own;
    if (only === undefined || own.length > 1 || entry.pending) {
      for (const cell of own) this.takeCount(cell, entry);
      return undefined;
    }
    const counts = cells.counts.get(only);
    if (!counts) return undefined;
    const readEvidence = () => cells.counts.journalEvidence(only);
    return { counts, facts: cells.owners.getFacts(only), readEvidence };
  }

  /** Number of the cells of an entry, and the time of the newest alert that they have counts of; 0 for none. */
  lookAtCells(entry: Entry): { lastUs: EpochUs; cells: number } {
    let lastUs = 0;
    let cells = 0;
    for (const cell of this.#listCells(entry)) {
      lastUs = Math.max(lastUs, this.#parts.cells?.counts.get(cell)?.lastUs ?? 0);
      cells++;
    }
    return { lastUs, cells };
  }

  takeOwnCells(entry: Entry): void {
    for (const cell of this.#listCells(entry)) this.takeCount(cell, entry);
  }

  /** Takes the counts of all cells; not of those that begin to count between the steps. */
  *takeCells(): Steps {
    const { cells } = this.#parts;
    if (!cells) return;
    for (let left = this.#counting.length; left > 0; left -= CELLS_PER_STEP) {
      this.#takeCounts(this.#counting.splice(0, CELLS_PER_STEP), cells);
      if (left > CELLS_PER_STEP) yield;
    }
  }

  #takeCounts(list: readonly number[], { counts, owners }: CellStore): void {
    for (const cell of list) {
      counts.unlist(cell);
      // A cell may have another owner since.
      owners.takeCount(cell);
    }
  }

  #beginTally(entry: Entry): Tally {
    const tally = emptyTally();
    entry.pending = tally;
    this.#entries.add(entry);
    return tally;
  }

  *#listCells(entry: Entry): Iterable<number> {
    for (let cell = entry.firstCell; cell !== 0; cell = this.#parts.cells?.owners.getNext(cell) ?? 0) yield cell;
  }
}

/**
 * Violations with a tally of pending counts, and the number of those that a report written now would not count. An entry
 * is deleted before it enters a write other than by a take, and added again after that.
 */
class PendingEntries extends ListedSet<"pendingPosition", Entry> {
  newEntries = 0;

  constructor() {
    super("pendingPosition");
  }

  /** Adds an entry; one that was in a write when it was added, and is not any more, is added again. */
  override add(entry: Entry): boolean {
    if (!isWritten(entry)) this.newEntries++;
    return super.add(entry);
  }

  override delete(entry: Entry): boolean {
    const wasThere = super.delete(entry);
    if (wasThere && !isWritten(entry)) this.newEntries--;
    return wasThere;
  }
}
