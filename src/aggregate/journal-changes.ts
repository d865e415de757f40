// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What of a ledger the journal is to be told.

import type { ReportChange } from "./change-log.ts";
import type { Ledger } from "./ledger.ts";

/** Whether the journal has something to be told. */
export function hasChanges(ledger: Ledger): boolean {
  return ledger.log?.hasChanges(ledger.openSets().pending.totals) ?? false;
}

/** Tells the journal what has changed, in about `budget` rows; the rest the next time. */
export function drainChanges(ledger: Ledger, budget: number): ReportChange | undefined {
  const { log, namespace, policyName } = ledger;
  if (!log || !hasChanges(ledger)) return undefined;
  const { inFlight, pending } = ledger.openSets();
  const told = { seq: pending.seq, totals: { ...pending.totals } };
  return { namespace, policyName, ...log.drain(inFlight, told, ledger.policy.facts(), budget) };
}

/** Tells the journal only what it may forget. */
export function drainPersisted({ log, namespace, policyName }: Ledger): ReportChange | undefined {
  const persistedSeq = log?.drainPersisted() ?? 0;
  return persistedSeq === 0 ? undefined : { namespace, policyName, isAnew: false, persistedSeq, layers: [] };
}
