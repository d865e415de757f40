// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a report that no write has taken. Invariant: totals and entries that are read here include the counts of
// the cells, except in `taken`.

import type { CellStore } from "../ingest/cell-store.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import type { Steps } from "../lib/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import type { ChangeLog } from "./change-log.ts";
import type { Entry } from "./entry.ts";
import type { KnownPolicy } from "./known-policy.ts";
import { addAlert, addCounts, emptyTally } from "./tally.ts";
import { countAlerts, emptyTotals, type Totals } from "./totals.ts";

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

export class PendingCounts {
  readonly #parts: PendingParts;
  #totals = emptyTotals();
  #entries = new Set<Entry>();
  /** Cells that may have counts. */
  #counting: number[] = [];

  constructor(parts: PendingParts) {
    this.#parts = parts;
  }

  get totals(): Totals {
    this.takeCellCounts();
    return this.#totals;
  }

  /** The totals without what cells have counted since their counts were taken; not a copy. */
  get taken(): Totals {
    return this.#totals;
  }

  set totals(totals: Totals) {
    this.#totals = totals;
  }

  /** Entries with counts. */
  get entries(): Set<Entry> {
    this.takeCellCounts();
    return this.#entries;
  }

  /** Starts again with nothing. */
  clear(): void {
    this.#totals = emptyTotals();
    this.#entries = new Set();
  }

  /** Counts one alert; without an entry in the totals only. */
  add({ violation, timeUs, ...rest }: Occurrence, entry: Entry | undefined): void {
    const { policy } = this.#parts;
    countAlerts(this.#totals, violation.identity.outcome, {
      occurrences: 1,
      firstUs: timeUs,
      lastUs: timeUs,
    });
    policy.learn(violation.policy, timeUs);
    if (!entry) {
      policy.raiseSeverity(violation.rule.severity, timeUs);
      return;
    }
    const isFirst = entry.pending === undefined;
    addAlert((entry.pending ??= emptyTally()), { violation, timeUs, ...rest });
    this.#handleCounted(entry, isFirst);
  }

  noteCounting(cell: number): void {
    this.#counting.push(cell);
    this.#parts.onCounting();
  }

  takeCount(cell: number, entry: Entry): void {
    const { cells, policy } = this.#parts;
    const isFirst = entry.pending === undefined;
    const counts = cells?.take(cell, entry.pending?.latest);
    if (!cells || !counts) return;
    const facts = cells.owners.factsOf(cell);
    countAlerts(this.#totals, entry.outcome, counts);
    policy.learn(facts.policy, counts.lastUs);
    addCounts((entry.pending ??= emptyTally()), facts, counts);
    this.#handleCounted(entry, isFirst);
  }

  /** Takes the counts of all cells of an entry. */
  takeCountsOf(entry: Entry): void {
    for (const cell of this.#cellsOf(entry)) this.takeCount(cell, entry);
  }

  /** Time of the newest alert that cells of an entry have counted since their counts were taken, and their number. */
  lookAtCells(entry: Entry): { lastUs: EpochUs; cells: number } {
    let lastUs = 0;
    let cells = 0;
    for (const cell of this.#cellsOf(entry)) {
      lastUs = Math.max(lastUs, this.#parts.cells?.lastUsOf(cell) ?? 0);
      cells++;
    }
    return { lastUs, cells };
  }

  *#cellsOf(entry: Entry): Iterable<number> {
    for (let cell = entry.firstCell; cell !== 0; cell = this.#parts.cells?.owners.nextOf(cell) ?? 0)
      yield cell;
  }

  /** Forgets an entry, whose counts stay in the totals. */
  delete(entry: Entry): void {
    this.#entries.delete(entry);
  }

  takeCellCounts(): void {
    this.#fold(this.#counting.length);
  }

  /** Takes the counts of the cells that have some at the start: little is left for takeCellCounts. */
  *foldCells(): Steps {
    for (let left = this.#counting.length; left > CELLS_PER_STEP; left -= CELLS_PER_STEP) {
      this.#fold(CELLS_PER_STEP);
      yield;
    }
    this.takeCellCounts();
  }

  /** Takes the counts of the cells that have some for the longest time. */
  #fold(count: number): void {
    const { cells } = this.#parts;
    if (count === 0 || !cells) return;
    for (const cell of this.#counting.splice(0, count)) {
      cells.unlist(cell);
      // A cell may have another owner since.
      cells.owners.takeCount(cell);
    }
  }

  #handleCounted(entry: Entry, isFirst: boolean): void {
    if (isFirst) this.#entries.add(entry);
    if (isFirst) this.#parts.updateBytes(entry);
    this.#parts.log?.note(entry);
  }
}
