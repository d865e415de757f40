// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gathers from the ledgers what the journal's next batch holds: first the totals of every report that has changed, then
// violations as far as the budget goes.
// Invariant: every ledger has its turn, however much changes in the others. A batch has bounded work.

import type { Aggregator } from "../aggregate/aggregator.ts";
import {
  drainPersisted,
  drainTotals,
  drainViolations,
  hasChangedTotals,
  revertDrain,
} from "../aggregate/journal-changes.ts";
import type { LayerRow, ReportChange } from "../aggregate/ledger/change-log.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { MAX_DELIVERY_MS } from "../ingest/decode.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { RecoveredReport } from "./journal.ts";
import type { UnclaimedReports } from "./unclaimed-reports.ts";

/** Upper bounds of one batch. */
export interface BatchBudget {
  /** Reports with their totals in the batch. */
  reports: number;
  /** Rows of violations and pods, about. */
  rows: number;
}

/** Some milliseconds of work, in which no alert is read. */
export const BATCH: BatchBudget = { reports: 500, rows: 250 };
export const ALL: BatchBudget = { reports: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };

/** Rows of one batch. */
export interface Collected {
  changes: ReportChange[];
  /**
   * Time until which the journal has the totals of every report with this batch, by the clock of the alerts; undefined
   * where it lacks some. Milliseconds since the epoch.
   */
  totalsUntilMs: number | undefined;
  /** True where the journal is complete with this batch. */
  isAll: boolean;
}

export class ChangeCollector {
  readonly #unclaimed: Pick<UnclaimedReports, "all">;
  #aggregator: Aggregator | undefined;
  /** A pass over the totals of all ledgers that continues in the next batch. */
  #totals: { rest: Iterator<Ledger>; sinceMs: number } | undefined;
  /** Ledgers with violations that the journal lacks, those that had their turn the longest ago first. */
  readonly #waiting = new Set<Ledger>();

  constructor(unclaimed: Pick<UnclaimedReports, "all">) {
    this.#unclaimed = unclaimed;
  }

  attach(aggregator: Aggregator): void {
    this.#aggregator = aggregator;
  }

  /** Entries with changes that the journal lacks. */
  get waiting(): number {
    let sum = 0;
    for (const { sets } of this.#listLedgers()) sum += sets.log?.waiting ?? 0;
    return sum;
  }

  /** Collects a batch; the totals of the ledgers in `first` must be in it. */
  collect(budget: BatchBudget, nowMs: number, first: Iterable<Ledger> = []): Collected {
    const changes = new Map<Ledger, ReportChange>();
    for (const ledger of first) this.#addTotals(changes, ledger);
    if (budget.reports === Number.POSITIVE_INFINITY) this.restartPass();
    const totalsUntilMs = this.#collectTotals(changes, budget.reports, nowMs);
    const areViolationsDone = this.#collectViolations(changes, budget.rows);
    const isAll = totalsUntilMs === nowMs && areViolationsDone;
    const all = [...changes.values()];
    return { changes: all, totalsUntilMs: totalsUntilMs && findReadUntil(all, totalsUntilMs), isAll };
  }

  /** Gathers only which sets the stored reports hold. */
  collectPersisted(): ReportChange[] {
    return [...this.#listLedgers()].map(drainPersisted).filter((change) => change !== undefined);
  }

  /** Returns the time of the oldest alert that no stored report has; without one Infinity. Milliseconds since the epoch. */
  findFirstMs(): number {
    let firstUs = Number.POSITIVE_INFINITY;
    for (const { sets } of this.#listLedgers()) {
      const { inFlight, pending } = sets.open();
      firstUs = Math.min(firstUs, inFlight?.totals.firstUs ?? firstUs, pending.counts.totals.firstUs);
    }
    for (const { layers } of this.#unclaimed.all)
      for (const { totals } of layers) firstUs = Math.min(firstUs, totals.firstUs);
    return Math.floor(firstUs / 1000);
  }

  /** Restarts the pass over all ledgers: a running one misses changes to ledgers that it has passed. */
  restartPass(): void {
    this.#totals = undefined;
  }

  /** Takes back changes that the journal did not store. */
  undo(changes: readonly ReportChange[]): void {
    this.restartPass();
    for (const change of changes) {
      const ledger = this.#aggregator?.ledgers.get(reportKey(change.namespace, change.policyName));
      if (ledger) revertDrain(ledger, change);
    }
  }

  #listLedgers(): Iterable<Ledger> {
    return this.#aggregator?.ledgers.values() ?? [];
  }

  #collectTotals(changes: Map<Ledger, ReportChange>, max: number, nowMs: number): number | undefined {
    this.#totals ??= { rest: this.#listLedgers()[Symbol.iterator](), sinceMs: nowMs };
    const { rest, sinceMs } = this.#totals;
    while (changes.size < max) {
      const { value: ledger, done } = rest.next();
      if (done) {
        this.#totals = undefined;
        return sinceMs;
      }
      this.#addTotals(changes, ledger);
    }
    return undefined;
  }

  #addTotals(changes: Map<Ledger, ReportChange>, ledger: Ledger): void {
    const change = drainTotals(ledger);
    if (change) changes.set(ledger, change);
    if (ledger.sets.log?.waiting) this.#waiting.add(ledger);
  }

  /** Returns whether nothing is left. */
  #collectViolations(changes: Map<Ledger, ReportChange>, budget: number): boolean {
    let left = budget;
    // Each once: one with more than the budget comes again at the end.
    let turns = this.#waiting.size;
    for (const ledger of this.#waiting) {
      if (left <= 0 || turns-- === 0) break;
      this.#waiting.delete(ledger);
      const before = changes.get(ledger);
      // Violations of a set are written with its totals, or after them; those of a removed report are not.
      if (!before && (!this.#isHeld(ledger) || hasChangedTotals(ledger))) continue;
      const rowsBefore = countRows(before?.layers ?? []);
      const change = drainViolations(ledger, left, before);
      if (!change) continue;
      changes.set(ledger, change);
      left -= countRows(change.layers) - rowsBefore;
      if (ledger.sets.log?.waiting) this.#waiting.add(ledger);
    }
    return this.#waiting.size === 0;
  }

  #isHeld(ledger: Ledger): boolean {
    return this.#aggregator?.ledgers.get(reportKey(ledger.namespace, ledger.policyName)) === ledger;
  }
}

/**
 * Returns the time up to which alerts are in a batch, by their own clock: those after the newest in it may have been on
 * their way at `nowMs`. Without a new alert it is `nowMs`.
 */
function findReadUntil(changes: readonly ReportChange[], nowMs: number): number {
  const lastUs = Math.max(0, ...changes.flatMap(({ layers }) => layers.map(({ totals }) => totals.lastUs)));
  return lastUs === 0 ? nowMs : Math.max(nowMs - MAX_DELIVERY_MS, Math.min(nowMs, Math.floor(lastUs / 1000)));
}

export function countRows(layers: readonly LayerRow[]): number {
  return layers.reduce(
    (sum, { violations }) => violations.reduce((rows, { pods }) => rows + 1 + pods.length, sum + 1),
    0,
  );
}

/** Returns the occurrences that an earlier process left, whether or not a report holds them. */
export function countOccurrencesLeft(reports: readonly RecoveredReport[]): number {
  return reports.flatMap(({ layers }) => layers).reduce((sum, { totals }) => sum + totals.occurrences, 0);
}
