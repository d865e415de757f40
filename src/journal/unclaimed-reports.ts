// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports with sets that an earlier process left and that no ledger holds yet: their totals are in memory, their violations
// in the journal alone. Invariant: a report's rows stay in the journal until it is claimed. Where they can't be read, its
// totals are all there, and violations are missing from its list.

import type { LayerRow, ReportChange } from "../aggregate/ledger/change-log.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import type { Journal, RecoveredReport, ViolationPage } from "./journal.ts";

/** Access to the journal, and reports to its owner. */
export interface JournalAccess {
  /** Undefined while the journal is closed. */
  journal: () => Journal | undefined;
  onDamagedRows: (rows: number) => void;
  onFailure: (error: unknown) => void;
}

export class UnclaimedReports {
  readonly #reports: Map<string, RecoveredReport>;
  readonly #lastSeqs: Map<string, number>;
  readonly #access: JournalAccess;
  /** True where the journal was emptied, so that it has no violations of them. */
  #isEmptied = false;
  /** True where it has no totals of them either. */
  #isLacking = false;

  constructor(reports: RecoveredReport[], access: JournalAccess) {
    this.#reports = new Map(reports.map((report) => [reportKey(report.namespace, report.policyName), report]));
    this.#access = access;
    this.#lastSeqs = new Map([...this.#reports].map(([key, { layers }]) => [key, layers.at(-1)?.seq ?? 0]));
  }

  /** The last set of each report, by reportKey: sets of this process have larger numbers. */
  get lastSeqs(): ReadonlyMap<string, number> {
    return this.#lastSeqs;
  }

  get all(): readonly RecoveredReport[] {
    return [...this.#reports.values()];
  }

  get(key: string): RecoveredReport | undefined {
    return this.#reports.get(key);
  }

  /** Removes a report whose ledger has its sets; returns true where the ledger has to journal them again. */
  claim(key: string): boolean {
    this.#lastSeqs.delete(key);
    return this.#reports.delete(key) && this.#isEmptied;
  }

  /** Reads the sets of a report with their violations. */
  *readLayers(key: string): Steps<LayerRow[]> {
    const layers: LayerRow[] = [];
    let damagedRows = 0;
    for (const layer of this.get(key)?.layers ?? []) {
      const violations: LayerRow["violations"] = [];
      for (let after: string | undefined = ""; after !== undefined; ) {
        const page = this.#readPage(key, layer.seq, after);
        violations.push(...page.violations);
        damagedRows += page.damagedRows;
        after = page.last;
        yield;
      }
      layers.push({ ...layer, violations });
    }
    if (damagedRows > 0) this.#access.onDamagedRows(damagedRows);
    return layers;
  }

  /** Records that the journal is empty. */
  onEmptied(): void {
    this.#isEmptied = true;
    this.#isLacking = true;
  }

  /** Returns the totals that an emptied journal lacks. */
  listLacking(): ReportChange[] {
    return this.#isLacking ? this.all.map(toTotals) : [];
  }

  /** Records that the journal has the totals. */
  onWritten(): void {
    this.#isLacking = false;
  }

  #readPage(key: string, seq: number, after: string): ViolationPage {
    try {
      return this.#access.journal()?.readViolations(key, seq, after) ?? NOTHING;
    } catch (error) {
      this.#access.onFailure(error);
      return NOTHING;
    }
  }
}

const NOTHING: ViolationPage = { violations: [], last: undefined, damagedRows: 0 };

function toTotals({ namespace, policyName, layers }: RecoveredReport): ReportChange {
  const totals = layers.map((layer) => ({ ...layer, violations: [] }));
  return { namespace, policyName, removesRows: false, persistedSeq: 0, layers: totals };
}
