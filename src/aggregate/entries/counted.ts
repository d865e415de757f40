// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of violations on their way into a ledger: from a stored report, a journal or another ledger.

import type { Identity, PolicyFacts } from "../../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { Tally } from "../counts/tally.ts";
import type { Totals } from "../counts/totals.ts";
import { type Entry, getWrittenRule } from "./entry.ts";

/** One violation's counts, as they come from elsewhere. */
export interface Counted {
  key: string;
  identity: Identity;
  tally: Tally;
}

/** A set of counts that an earlier process held. */
export interface RecoveredSet {
  seq: number;
  totals: Totals;
  policy: PolicyFacts;
  entries: readonly Counted[];
}

/**
 * The highest severity of the violations that a report written now would count, but for those with an id in `except`,
 * and of `floor`; 0 for none.
 */
export function* findHighestSeverity(
  entries: Iterable<Entry>,
  floor: number,
  except: ReadonlySet<string> = new Set(),
): Steps<number> {
  let highest = floor;
  yield* visitInSteps(entries, (entry) => {
    const { severity } = getWrittenRule(entry);
    if (severity > highest && !except.has(entry.id)) highest = severity;
  });
  return highest;
}

/** Counts and entries that a ledger takes from a stored report. */
export interface Base {
  totals: Totals;
  entries: readonly Entry[];
  /** When the stored report was created, by the clock of its store; undefined where that is unknown. */
  createdUs: EpochUs | undefined;
  violations: number;
  workloads: number;
  pods: number;
  nodes: number;
}

export function sumStored(entries: Iterable<Entry>): number {
  let sum = 0;
  for (const { stored } of entries) sum += stored?.occurrences ?? 0;
  return sum;
}
