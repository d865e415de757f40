// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builders of what a journal takes, and what the next process finds.

import { emptyTotals } from "../../../src/aggregate/counts/totals.ts";
import type { ViolationRow } from "../../../src/aggregate/entries/change-rows.ts";
import type { LayerRow, ReportChange } from "../../../src/aggregate/ledger/change-log.ts";
import { getRule } from "../../../src/ingest/violation/rule.ts";
import { identityKey } from "../../../src/ingest/violation/violation.ts";
import type { Batch, Journal } from "../../../src/journal/journal.ts";
import { START_US } from "../../support/gen.ts";
import { createIdentity } from "../../support/identity.ts";
import { type FoundJournal, readAll } from "../../support/journal-rows.ts";

export function createViolationRow(resource: string, mods: Partial<ViolationRow> = {}): ViolationRow {
  return {
    key: identityKey(createIdentity({ resource })),
    occurrences: 3,
    firstUs: START_US,
    lastUs: START_US + 7,
    rule: getRule({ severity: 5, tags: ["NIST"], message: "no" }).text,
    evidence: { time: "2026-11-23T10:00:00.000007Z", command: "apt -c \u0000\"'" },
    pods: [{ key: "web-1", name: "web-1", node: "node-1", occurrences: 3, lastUs: START_US + 7 }],
    ...mods,
  };
}

export function createLayerRow(seq: number, ...violations: ViolationRow[]): LayerRow {
  const occurrences = violations.reduce((sum, each) => sum + each.occurrences, 0);
  return {
    seq,
    totals: { ...emptyTotals(), occurrences, prevented: occurrences, firstUs: START_US, lastUs: START_US + 7 },
    policy: { kind: "KubeArmorPolicy", severity: 5, tags: ["NIST"], message: "no" },
    violations,
  };
}

export function createChange(layers: LayerRow[], mods: Partial<ReportChange> = {}): ReportChange {
  return { namespace: "shop", policyName: "p", removesRows: false, persistedSeq: 0, layers, ...mods };
}

export function createBatch(changes: ReportChange[], mods: Partial<Batch> = {}): Batch {
  return { removed: [], changes, readUntilMs: 1000, reservedSeq: 9, isLast: false, isDeclared: false, ...mods };
}

/** Begins a first life of the journal. */
export function begin(journal: Journal): Journal {
  journal.begin({ writerId: "w", readUntilMs: 0, reservedSeq: 0 });
  return journal;
}

/** Closes the journal and reads what the next process finds. */
export function reopen(journal: Journal, open: () => Journal): FoundJournal | undefined {
  journal.close();
  const next = open();
  const found = readAll(next);
  next.close();
  return found;
}
