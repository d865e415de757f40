// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of a report that no write has taken. Invariant: totals and entries that are read here include the counts of
// the cells.

import type { CellStore } from "../ingest/cell-store.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import type { CellCounter, CountingReport } from "./cell-counter.ts";
import type { ChangeLog } from "./change-log.ts";
import type { Entry } from "./entry.ts";
import type { EntryMap } from "./memory-usage.ts";
import { addAlert, addCounts, emptyTally } from "./tally.ts";
import { countAlerts, emptyTotals, type KnownPolicy, type Totals } from "./totals.ts";

export interface PendingParts {
  cells: CellStore | undefined;
  policy: KnownPolicy;
  /** Weighs entries. */
  entries: EntryMap;
  /** Receives entries with new counts. */
  log: ChangeLog | undefined;
  /** Called when a cell begins to count. */
  onCounting: () => void;
}

export class PendingCounts implements CountingReport {
  readonly #parts: PendingParts;
  #totals = emptyTotals();
  #entries = new Set<Entry>();
  #counting: CellCounter[] = [];

  constructor(parts: PendingParts) {
    this.#parts = parts;
  }

  get totals(): Totals {
    this.takeCellCounts();
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
      policy.raiseSeverity(violation.rule.severity);
      return;
    }
    const isFirst = entry.pending === undefined;
    addAlert((entry.pending ??= emptyTally()), { violation, timeUs, ...rest });
    this.#handleCounted(entry, isFirst);
  }

  noteCounting(counter: CellCounter): void {
    this.#counting.push(counter);
    this.#parts.onCounting();
  }

  takeCellCounts(): void {
    const { cells, policy } = this.#parts;
    if (this.#counting.length === 0 || !cells) return;
    const counting = this.#counting;
    this.#counting = [];
    for (const counter of counting) {
      const { cells: entry } = counter;
      const isFirst = entry.pending === undefined;
      const counts = cells.take(counter.cell, entry.pending?.latest);
      countAlerts(this.#totals, entry.outcome, counts);
      policy.learn(counter.policy, counts.lastUs);
      addCounts((entry.pending ??= emptyTally()), counter, counts);
      this.#handleCounted(entry, isFirst);
    }
  }

  #handleCounted(entry: Entry, isFirst: boolean): void {
    if (isFirst) this.#entries.add(entry);
    if (isFirst) this.#parts.entries.updateBytes(entry);
    this.#parts.log?.note(entry);
  }
}
