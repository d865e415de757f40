// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Everything that a process finds in a journal, and copies of one.

import { copyFileSync, existsSync } from "node:fs";
import type { LayerRow } from "../../src/aggregate/ledger/change-log.ts";
import { reportKey } from "../../src/ingest/violation/violation.ts";
import type { Journal, Recovered, RecoveredReport } from "../../src/journal/journal.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { UnclaimedReports } from "../../src/journal/unclaimed-reports.ts";
import { runAtOnce } from "../../src/lib/pacing/steps.ts";

/** What a process finds in a journal once it has read all of it; `damagedRows` includes those of violations. */
export type FoundJournal = Omit<Recovered, "reports"> & {
  reports: (Omit<RecoveredReport, "layers"> & { layers: LayerRow[] })[];
};

/** Reads the rows of all reports, with their violations. */
export function readAll(journal: Journal): FoundJournal | undefined {
  const { recovered } = journal;
  if (!recovered) return undefined;
  let { damagedRows } = recovered;
  const unclaimed = new UnclaimedReports(recovered.reports, {
    journal: () => journal,
    onDamagedRows: (rows) => {
      damagedRows += rows;
    },
    onFailure: (error) => {
      throw error;
    },
  });
  const reports = recovered.reports.map((report) => ({
    ...report,
    layers: runAtOnce(unclaimed.readLayers(reportKey(report.namespace, report.policyName))),
  }));
  return { ...recovered, damagedRows, reports };
}

/** Copies an open journal, as a process killed now leaves it; there may be none yet. */
export function copyJournal(from: string, to: string): void {
  for (const part of ["", "-wal"]) if (existsSync(from + part)) copyFileSync(from + part, to + part);
}

/** Reads what a killed process left; the original stays untouched. */
export function readLeftJournal(path: string, copy: string): FoundJournal | undefined {
  copyJournal(path, copy);
  const journal = createSqliteJournal({ path: copy, maxBytes: 2 ** 30 })();
  const found = readAll(journal);
  journal.close();
  return found;
}
