// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which violations must give way to which, where there is no room for all.
// Invariant: a total order of what was seen, so that neither the order of alerts nor of writes has a say; one workload
// takes no room from another that has less.

import type { EpochUs } from "../lib/time.ts";
import type { Entry } from "./entry.ts";

/** What happened outlives what may have, and that what was stopped. */
const OUTCOME_RANK = { Allowed: 0, Unknown: 1, Prevented: 2 } as const;

type LastSeen = (entry: Entry) => EpochUs;

/** The best first: by outcome, then the most recent; ties by id. */
function byRank(lastUs: LastSeen): (a: Entry, b: Entry) => number {
  return (a, b) =>
    OUTCOME_RANK[a.outcome] - OUTCOME_RANK[b.outcome] ||
    lastUs(b) - lastUs(a) ||
    (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

const written: LastSeen = ({ committed, inFlight }) =>
  Math.max(committed?.lastUs ?? 0, inFlight?.lastUs ?? 0);
const counted: LastSeen = (entry) => Math.max(written(entry), entry.pending?.lastUs ?? 0);

/**
 * The first `count` by rank as a report tells them, in turns: the best `share` of each workload, then the next `share` of each, and so on, so
 * that a workload with violations without end leaves room for every other.
 */
export function fairest(entries: readonly Entry[], count: number, share: number): Entry[] {
  const seen = new Map<string, number>();
  const turns: Entry[][] = [];
  for (const entry of entries.toSorted(byRank(written))) {
    const key = entry.workload;
    const position = seen.get(key) ?? 0;
    seen.set(key, position + 1);
    const turn = Math.floor(position / share);
    (turns[turn] ??= []).push(entry);
  }
  return turns.flat().slice(0, count);
}

/** The `count` lowest ranked of one workload that may leave: nothing that is in a write whose fate is open. */
export function lowest(entries: Iterable<Entry>, workload: string, count: number): Entry[] {
  const own = [...entries].filter((entry) => !entry.inFlight && entry.workload === workload);
  return own.sort(byRank(counted)).slice(-count);
}
