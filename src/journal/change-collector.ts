// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gathers from the ledgers what the journal is to be told.
// Invariant: every ledger has its turn, however much changes in the others.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { LayerRow, ReportChange } from "../aggregate/change-log.ts";
import { drainChanges, drainPersisted } from "../aggregate/journal-changes.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import { reportKey } from "../ingest/violation.ts";
import type { RecoveredReport } from "./journal.ts";

export class ChangeCollector {
  readonly #unclaimed: ReadonlyMap<string, RecoveredReport>;
  #aggregator: Aggregator | undefined;
  #cursor: Iterator<Ledger> | undefined;

  /** `unclaimed`: what an earlier process left and is in no ledger yet. */
  constructor(unclaimed: ReadonlyMap<string, RecoveredReport>) {
    this.#unclaimed = unclaimed;
  }

  attach(aggregator: Aggregator): void {
    this.#aggregator = aggregator;
  }

  /** Gathers about `budget` rows. */
  collect(budget: number): { changes: ReportChange[]; isAll: boolean } {
    const changes: ReportChange[] = [];
    let left = budget;
    if (budget === Number.POSITIVE_INFINITY) this.#cursor = undefined;
    while (left > 0) {
      // Goes on where the last batch ended.
      this.#cursor ??= this.#aggregator?.ledgers.values();
      const next = this.#cursor?.next();
      if (!next || next.done) {
        this.#cursor = undefined;
        return { changes, isAll: true };
      }
      const change = this.#drain(next.value, left);
      if (!change) continue;
      left -= 1 + rowsOf(change.layers);
      changes.push(change);
    }
    return { changes, isAll: false };
  }

  /** Gathers only what stands in stored reports by now. */
  collectPersisted(): ReportChange[] {
    const ledgers = [...(this.#aggregator?.ledgers.values() ?? [])];
    return ledgers.map(drainPersisted).filter((change) => change !== undefined);
  }

  #drain(ledger: Ledger, budget: number): ReportChange | undefined {
    const change = drainChanges(ledger, budget);
    if (!change) return undefined;
    if (!change.isAnew) return change;
    const unclaimed = this.#unclaimed.get(reportKey(change.namespace, change.policyName));
    return unclaimed ? { ...change, layers: [...unclaimed.layers, ...change.layers] } : change;
  }
}

/** Rows that the layers come to. */
export function rowsOf(layers: readonly LayerRow[]): number {
  return layers.reduce(
    (sum, { violations }) => violations.reduce((rows, { pods }) => rows + 1 + pods.length, sum + 1),
    0,
  );
}

/** Occurrences that an earlier process left, whether or not a report holds them. */
export function occurrencesLeft(reports: readonly RecoveredReport[]): number {
  return reports.flatMap(({ layers }) => layers).reduce((sum, { totals }) => sum + totals.occurrences, 0);
}
