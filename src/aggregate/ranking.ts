// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Order in which violations are listed and evicted where there is no room for all. Invariant: a total order over their
// content, so that neither the order of alerts nor of writes changes it; one workload takes no room from another that
// has less.

import type { EpochUs } from "../lib/time.ts";
import type { Entry } from "./entry.ts";

/** Allowed outlives Unknown, and that outlives Prevented. */
const OUTCOME_RANK = { Allowed: 0, Unknown: 1, Prevented: 2 } as const;

type LastSeen = (entry: Entry) => EpochUs;

/** The best first: by outcome, then the most recent; ties by id. */
function createRankOrder(lastUs: LastSeen): (a: Entry, b: Entry) => number {
  return (a, b) =>
    OUTCOME_RANK[a.outcome] - OUTCOME_RANK[b.outcome] ||
    lastUs(b) - lastUs(a) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

const written: LastSeen = ({ committed, inFlight }) =>
  Math.max(committed?.lastUs ?? 0, inFlight?.lastUs ?? 0);
const counted: LastSeen = (entry) => Math.max(written(entry), entry.pending?.lastUs ?? 0);

/**
 * Selects the first `count` by rank for a report, in turns: the best `share` of each workload, then the next `share` of
 * each, and so on, so that a workload with an unlimited number of violations leaves room for every other.
 */
export function selectFairest(entries: readonly Entry[], count: number, share: number): Entry[] {
  const seen = new Map<string, number>();
  const turns: Entry[][] = [];
  for (const entry of entries.toSorted(createRankOrder(written))) {
    const key = entry.workload;
    const position = seen.get(key) ?? 0;
    seen.set(key, position + 1);
    const turn = Math.floor(position / share);
    (turns[turn] ??= []).push(entry);
  }
  return turns.flat().slice(0, count);
}

/** Selects the `count` lowest ranked of one workload that may be evicted: none that are in flight. */
export function selectLowest(entries: Iterable<Entry>, workload: string, count: number): Entry[] {
  const own = [...entries].filter((entry) => !entry.inFlight && entry.workload === workload);
  return own.sort(createRankOrder(counted)).slice(-count);
}
