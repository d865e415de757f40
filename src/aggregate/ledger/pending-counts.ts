// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a report that no write has taken. Most are in cells until then; the totals include them.
// Invariant: a count is in a cell or in a tally, and in the totals once. What is in the totals stays in a cell only where
// that is the only one of its entry, and the entry has no tally.

import type { CellCounter } from "../../ingest/cells/cell-owner.ts";
import type { HeldCounts } from "../../ingest/cells/cell-records.ts";
import type { CellStore } from "../../ingest/cells/cell-store.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import { runAtOnce, type Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { KnownPolicy } from "../counts/known-policy.ts";
import { addAlert, addCounts, emptyTally, type Tally } from "../counts/tally.ts";
import { countAlerts, emptyTotals, type Totals } from "../counts/totals.ts";
import { type Entry, isWritten } from "../entries/entry.ts";
import { PendingEntries } from "../entries/pending-entries.ts";
import type { ChangeLog, CountsInCell, PendingCells } from "./change-log.ts";

/** Cells of which the counts are taken in one step. */
const CELLS_PER_STEP = 512;

export interface PendingParts {
  cells: CellStore | undefined;
  policy: KnownPolicy;
  /** Weighs an entry whose counts have changed. */
  updateBytes: (entry: Entry) => void;
  /** Receives entries with new counts. */
  log: ChangeLog | undefined;
  /** Called when a cell begins to count. */
  onCounting: () => void;
}

export class PendingCounts implements CellCounter, PendingCells {
  readonly #parts: PendingParts;
  #totals = emptyTotals();
  #entries = new PendingEntries();
  /** Cells that may have counts that are in no totals yet. */
  #counting: number[] = [];
  /** Cells that may have counts that are in the totals. */
  #held: number[] = [];
  /** True where one of those cells is of an entry that a report written now would not count. */
  #isNewHeld = false;

  constructor(parts: PendingParts) {
    this.#parts = parts;
  }

  get totals(): Totals {
    this.#foldCells();
    return this.#totals;
  }

  /** The totals without what cells have counted since they were looked at; not a copy. */
  get folded(): Totals {
    return this.#totals;
  }

  set totals(totals: Totals) {
    this.#totals = totals;
  }

  /** Entries with counts, all of which are in tallies from now on. */
  get entries(): PendingEntries {
    runAtOnce(this.takeCells());
    return this.#entries;
  }

  /** True where an entry with counts was in no write when it got them. */
  get haveNew(): boolean {
    this.#foldCells();
    return this.#entries.newEntries > 0 || this.#isNewHeld;
  }

  /** Gives away all counts. */
  take(): PendingEntries {
    const { entries } = this;
    this.#totals = emptyTotals();
    this.#entries = new PendingEntries();
    this.#isNewHeld = false;
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
    addAlert(this.tallyOf(entry), occurrence);
    if (isFirst) this.#parts.updateBytes(entry);
    log?.note(entry);
  }

  /** Returns the tally of an entry, with the counts of its only cell; begins it where there is none. The caller weighs it. */
  tallyOf(entry: Entry): Tally {
    this.takeOnlyCell(entry);
    return entry.pending ?? this.#beginTally(entry);
  }

  /** Takes the counts of the only cell of an entry, which is going to have others or a tally. */
  takeOnlyCell(entry: Entry): void {
    const cell = entry.firstCell;
    if (cell !== 0 && !entry.pending && this.#isOnlyCell(entry, cell)) this.takeCount(cell, entry);
  }

  noteCounting(cell: number): void {
    this.#counting.push(cell);
    this.#parts.onCounting();
  }

  /** Leaves the counts in the cell where it is the only one of its entry. */
  foldCount(cell: number, entry: Entry): void {
    if (entry.pending || !this.#isOnlyCell(entry, cell)) {
      this.takeCount(cell, entry);
      return;
    }
    const { cells } = this.#parts;
    const counts = cells?.counts.get(cell);
    if (!cells || !counts || counts.unfolded === 0) return;
    this.#countCell(cell, entry, counts);
    cells.counts.setFolded(cell);
    if (!cells.counts.hold(cell)) return;
    this.#held.push(cell);
    this.#isNewHeld ||= !isWritten(entry);
  }

  takeCount(cell: number, entry: Entry): void {
    const { cells } = this.#parts;
    const counts = cells?.take(cell, entry.pending?.latest);
    if (!cells || !counts) return;
    const isFirst = entry.pending === undefined;
    if (counts.unfolded > 0) this.#countCell(cell, entry, counts);
    addCounts(entry.pending ?? this.#beginTally(entry), cells.owners.factsOf(cell), counts);
    if (isFirst) this.#parts.updateBytes(entry);
  }

  /** Counts of an entry without a tally; undefined where its cell has none. */
  readCell(entry: Entry): CountsInCell | undefined {
    const { cells } = this.#parts;
    const cell = entry.firstCell;
    const counts = entry.pending || cell === 0 ? undefined : cells?.counts.get(cell);
    if (!counts || !cells) return undefined;
    const readEvidence = () => cells.counts.journalEvidence(cell);
    return { counts, facts: cells.owners.factsOf(cell), readEvidence };
  }

  /** Number of the cells of an entry, and the time of the newest alert that they have counts of; 0 for none. */
  lookAtCells(entry: Entry): { lastUs: EpochUs; cells: number } {
    let lastUs = 0;
    let cells = 0;
    for (const cell of this.#cellsOf(entry)) {
      lastUs = Math.max(lastUs, this.#parts.cells?.counts.get(cell)?.lastUs ?? 0);
      cells++;
    }
    return { lastUs, cells };
  }

  /** Takes the counts of all cells of an entry, and forgets it; its counts stay in the totals. */
  remove(entry: Entry): void {
    for (const cell of this.#cellsOf(entry)) this.takeCount(cell, entry);
    this.#entries.delete(entry);
  }

  /** Takes the counts of all cells. Between the steps others may begin to count, which the last step takes. */
  *takeCells(): Steps {
    const { cells } = this.#parts;
    if (!cells) return;
    for (const list of [this.#held, this.#counting]) {
      for (let left = list.length; left > CELLS_PER_STEP; left -= CELLS_PER_STEP) {
        this.#takeCounts(list.splice(0, CELLS_PER_STEP), cells);
        yield;
      }
    }
    this.#takeCounts([...this.#held.splice(0), ...this.#counting.splice(0)], cells);
  }

  #takeCounts(list: readonly number[], { counts, owners }: CellStore): void {
    for (const cell of list) {
      counts.unlist(cell);
      // A cell may have another owner since.
      owners.takeCount(cell);
    }
  }

  #foldCells(): void {
    const { cells } = this.#parts;
    if (this.#counting.length === 0 || !cells) return;
    for (const cell of this.#counting.splice(0)) {
      cells.counts.unlist(cell);
      // A cell may have another owner since.
      cells.owners.foldCount(cell);
    }
  }

  /** Adds what the totals lack. */
  #countCell(cell: number, entry: Entry, { unfolded, firstUs, lastUs }: HeldCounts): void {
    const { cells, policy, log } = this.#parts;
    countAlerts(this.#totals, entry.outcome, { occurrences: unfolded, firstUs, lastUs });
    if (cells) policy.learn(cells.owners.factsOf(cell).policy, lastUs);
    log?.note(entry);
  }

  #beginTally(entry: Entry): Tally {
    const tally = emptyTally();
    entry.pending = tally;
    this.#entries.add(entry);
    return tally;
  }

  #isOnlyCell(entry: Entry, cell: number): boolean {
    return entry.firstCell === cell && this.#parts.cells?.owners.nextOf(cell) === 0;
  }

  *#cellsOf(entry: Entry): Iterable<number> {
    for (let cell = entry.firstCell; cell !== 0; cell = this.#parts.cells?.owners.nextOf(cell) ?? 0)
      yield cell;
  }
}
