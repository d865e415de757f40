// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State that a killed operator leaves: reports in the API server, and a journal with the counts that they lack.

import { copyFileSync, existsSync } from "node:fs";
import { recoverSet } from "../../src/aggregate/ledger/recovered-counts.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import { runAtOnce } from "../../src/lib/pacing/steps.ts";
import { parseMicroTime } from "../../src/lib/time.ts";
import { findPersistedSeq } from "../../src/reconcile/marks.ts";
import { type FoundJournal, readAll } from "./journal-rows.ts";

/** Counts of one report in the API server and in the journal. */
export interface Held {
  occurrences: number;
  lastUs: number;
}

/** The journal as the killed process left it; the original stays untouched. */
export function readJournal(path: string, copy: string): FoundJournal | undefined {
  for (const part of ["", "-wal"]) {
    if (existsSync(path + part)) copyFileSync(path + part, copy + part);
  }
  const journal = createSqliteJournal({ path: copy, maxBytes: 2 ** 30 })();
  const found = readAll(journal);
  journal.close();
  return found;
}

/** Counts in the reports, and in the journal beyond them. */
export function countHeld(left: FoundJournal | undefined, reports: readonly Report[]): Map<string, Held> {
  const held = new Map<string, Held>();
  const add = (key: string, occurrences: number, lastUs: number) => {
    const before = held.get(key) ?? { occurrences: 0, lastUs: 0 };
    held.set(key, { occurrences: before.occurrences + occurrences, lastUs: Math.max(before.lastUs, lastUs) });
  };
  const toKey = (namespace: string | undefined, policyName: string) => `${namespace ?? ""}/${policyName}`;
  for (const { metadata, policy, summary } of reports) {
    add(toKey(metadata.namespace, policy.name), summary.occurrences, parseMicroTime(summary.lastSeen) ?? 0);
  }
  for (const { namespace, policyName, layers } of left?.reports ?? []) {
    const stored = reports.find((r) => r.metadata.namespace === namespace && r.policy.name === policyName);
    const persistedSeq = findPersistedSeq(stored?.metadata, left?.writerId ?? "");
    for (const layer of layers) {
      const { totals } = runAtOnce(recoverSet(layer));
      if (layer.seq > persistedSeq) add(toKey(namespace, policyName), totals.occurrences, totals.lastUs);
    }
  }
  return held;
}
