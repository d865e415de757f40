// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation within a report's counters, and what brings violations into them from elsewhere.

import type { Outcome } from "../api/v1alpha1.ts";
import { NO_RULE, type RuleFacts } from "../ingest/rule.ts";
import {
  type Identity,
  isEarlyKey,
  type PolicyFacts,
  parseIdentityKey,
  settledKey,
  violationId,
  workloadKey,
} from "../ingest/violation.ts";
import { mergeInto, selectNewerRule, type Tally } from "./tally.ts";
import type { Totals } from "./totals.ts";

/** Sweep of what this process has not written. */
export const NO_SWEEP = -(2 ** 30);

/** One violation of the report. What can be made of its key is made when it is asked for: there are many of them. */
export class Entry {
  readonly key: string;
  readonly outcome: Outcome;
  /** As workloadKey makes it. */
  readonly workload: string;
  committed: Tally | undefined;
  inFlight: Tally | undefined;
  pending: Tally | undefined;
  /** True when occurrences from before may be among those that are counted without a violation. */
  lowerBound: boolean;
  /** True while its pending counts wait for the journal. */
  isNoted = false;
  /** Bytes that its map has counted for it; 0 in no map. */
  heldBytes = 0;
  /** The first of the cells that count for it; 0 for none. */
  firstCell = 0;
  /** Retention sweep before which its counts were committed last in this process. */
  writtenInSweep = NO_SWEEP;
  #id: string | undefined;

  /** A violation of which nothing is counted yet; `key` is that of the identity, `workload` that of its workload. */
  constructor(key: string, identity: Identity, lowerBound: boolean, workload = workloadKey(identity)) {
    this.key = key;
    this.outcome = identity.outcome;
    this.workload = workload;
    this.lowerBound = lowerBound;
    this.committed = undefined;
    this.inFlight = undefined;
    this.pending = undefined;
  }

  get id(): string {
    this.#id ??= violationId(this.key);
    return this.#id;
  }

  /** The highest severity of its committed, in-flight and pending counts. */
  get severity(): number {
    return Math.max(
      ...[this.committed, this.inFlight, this.pending].map((tally) => tally?.rule.severity ?? 0),
    );
  }

  /** Takes the counts of another that is in no write. */
  takeCounts(from: Entry): void {
    this.lowerBound ||= from.lowerBound;
    this.writtenInSweep = Math.max(this.writtenInSweep, from.writtenInSweep);
    const merge = (own: Tally | undefined, more: Tally | undefined) =>
      own && more ? mergeInto(own, more) : (own ?? more);
    this.committed = merge(this.committed, from.committed);
    this.pending = merge(this.pending, from.pending);
    from.committed = from.pending = undefined;
  }

  /** Creates a new object with each call. */
  get identity(): Identity {
    return parseIdentityKey(this.key);
  }
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

/** Counts the violations that a report written now would list. */
export function countWritten(entries: ReadonlyMap<string, Entry>): number {
  let count = 0;
  const early = new Set<string>();
  for (const entry of entries.values()) {
    if (!isWritten(entry)) continue;
    if (isEarlyKey(entry.key)) early.add(settledKey(entry.key));
    else count++;
  }
  for (const key of early) if (!isWritten(entries.get(key))) count++;
  return count;
}

/** True for an entry that a report written now would list. */
export function isWritten(entry: Entry | undefined): boolean {
  return (entry?.committed ?? entry?.inFlight) !== undefined;
}

/** The rule that the newest alert matched, of those that a report written now would count. */
export function writtenRule({ committed, inFlight }: Entry): RuleFacts {
  if (!committed || !inFlight) return (committed ?? inFlight)?.rule ?? NO_RULE;
  return selectNewerRule(committed, inFlight.rule, inFlight.lastUs);
}

/** The highest severity of the violations that a report written now would count, and of `floor`; 0 for none. */
export function highestSeverity(entries: Iterable<Entry>, floor: number): number {
  let severity = floor;
  for (const entry of entries) severity = Math.max(severity, writtenRule(entry).severity);
  return severity;
}

/** Counts and entries that a ledger takes from a stored report. */
export interface Base {
  totals: Totals;
  entries: readonly Entry[];
  violations: number;
  workloads: number;
  pods: number;
  nodes: number;
}

/** Sums the occurrences in entries: committed, in flight and pending. */
export function sumOccurrences(entries: Iterable<Entry>): number {
  let sum = 0;
  for (const { committed, inFlight, pending } of entries) {
    for (const tally of [committed, inFlight, pending]) sum += tally?.occurrences ?? 0;
  }
  return sum;
}
