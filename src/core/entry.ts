// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation within a report's books, and what brings violations into them from elsewhere.

import type { Tally } from "./tally.ts";
import type { Totals } from "./totals.ts";
import { type Identity, type PolicyFacts, violationId } from "./violation.ts";

/** One violation of the report. */
export interface Entry {
  readonly key: string;
  readonly id: string;
  readonly identity: Identity;
  committed: Tally | undefined;
  inFlight: Tally | undefined;
  pending: Tally | undefined;
  /** True when occurrences from before may be among those that are counted without a violation. */
  lowerBound: boolean;
  /** True while the journal waits to be told of its pending counts. */
  isNoted?: boolean;
}

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

/** A violation of which nothing is counted yet. */
export function newEntry(key: string, identity: Identity, lowerBound: boolean): Entry {
  const id = violationId(key);
  return { key, id, identity, committed: undefined, inFlight: undefined, pending: undefined, lowerBound };
}

/** How many of them a report written now would tell of. */
export function countWritten(entries: Iterable<Entry>): number {
  let count = 0;
  for (const entry of entries) if (entry.committed ?? entry.inFlight) count++;
  return count;
}

/** What a stored report brings into a ledger. */
export interface Base {
  totals: Totals;
  entries: readonly Entry[];
  violations: number;
  workloads: number;
  pods: number;
  nodes: number;
}

/** What is counted in entries, wherever it stands. */
export function occurrencesIn(entries: Iterable<Entry>): number {
  let sum = 0;
  for (const { committed, inFlight, pending } of entries) {
    for (const tally of [committed, inFlight, pending]) sum += tally?.occurrences ?? 0;
  }
  return sum;
}
