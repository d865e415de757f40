// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes of a ledger, drained for a journal.
// Invariant: drained changes are in the journal's next batch or are taken back.

import { copyTotals } from "./counts/totals.ts";
import type { ViolationRow } from "./entries/change-rows.ts";
import type { LayerRow, ReportChange } from "./ledger/change-log.ts";
import type { Ledger } from "./ledger/ledger.ts";

/** Returns true where the journal lacks changes of the ledger. */
export function hasChanges(ledger: Ledger): boolean {
  return ledger.sets.log?.hasChanges(ledger.sets.open().pending.counts.totals) ?? false;
}

/** Returns true where the journal lacks changes of the ledger's totals. */
export function hasChangedTotals(ledger: Ledger): boolean {
  return ledger.sets.log?.haveTotalsChanged(ledger.sets.open().pending.counts.totals) ?? false;
}

/** Drains all changes except those of violations. */
export function drainTotals(ledger: Ledger): ReportChange | undefined {
  const { namespace, policyName, sets } = ledger;
  ledger.gaps.addDeclared();
  const { inFlight, pending } = sets.open();
  if (!sets.log?.haveTotalsChanged(pending.counts.totals)) return undefined;
  const copy = { seq: pending.seq, totals: copyTotals(pending.counts.totals) };
  return { namespace, policyName, ...sets.log.drainTotals(inFlight, copy, ledger.policy.facts()) };
}

/** Drains changed violations in about `budget` rows, and adds them to `change`. */
export function drainViolations(
  ledger: Ledger,
  budget: number,
  change: ReportChange | undefined,
): ReportChange | undefined {
  const { namespace, policyName, sets } = ledger;
  if (!sets.log || sets.log.waiting === 0) return change;
  const { inFlight, pending } = sets.open();
  const rows = sets.log.drainViolations(budget, pending.counts);
  const whole = change ?? { namespace, policyName, removesRows: false, persistedSeq: 0, layers: [] };
  const policy = ledger.policy.facts();
  const add = (seq: number, totals: LayerRow["totals"], violations: ViolationRow[]): void => {
    if (violations.length === 0) return;
    const layer = whole.layers.find((each) => each.seq === seq);
    if (layer) layer.violations.push(...violations);
    else whole.layers.push({ seq, totals: copyTotals(totals), policy, violations });
  };
  if (inFlight) add(inFlight.seq, inFlight.totals, rows.inFlight);
  add(pending.seq, pending.counts.totals, rows.pending);
  return whole;
}

/** Drains all that has changed, of violations about `budget` rows. */
export function drainChanges(ledger: Ledger, budget: number): ReportChange | undefined {
  return drainViolations(ledger, budget, drainTotals(ledger));
}

/** Takes back a change that the journal did not store. */
export function revertDrain(ledger: Ledger, change: ReportChange): void {
  const keys = change.layers.flatMap(({ violations }) => violations.map(({ key }) => key));
  const entries = keys.map((key) => ledger.entries.get(key)).filter((entry) => entry !== undefined);
  const { counts } = ledger.sets.open().pending;
  for (const entry of entries) counts.takeOwnCells(entry);
  ledger.sets.log?.undo(change, entries);
}

/** Drains only the number up to which the stored report holds all sets. */
export function drainPersisted({ sets, namespace, policyName }: Ledger): ReportChange | undefined {
  const persistedSeq = sets.log?.drainPersisted() ?? 0;
  return persistedSeq === 0 ? undefined : { namespace, policyName, removesRows: false, persistedSeq, layers: [] };
}
