// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Order in which violations are listed and evicted where there is no room for all. Invariant: a total order over their
// content, so that neither the order of alerts nor of writes changes it; one workload takes no room from another that
// has less.

import type { EpochUs } from "../lib/time.ts";
import type { Entry, EntryGroup } from "./entry.ts";

/** Allowed outlives Unknown, and that outlives Prevented. */
const OUTCOME_RANK = { Allowed: 0, Unknown: 1, Prevented: 2 } as const;

type LastSeen = (entry: Entry) => EpochUs;

/** What the rank of an entry depends on, read once. */
interface Ranked {
  readonly entry: Entry;
  readonly outcome: number;
  readonly lastUs: EpochUs;
  /** "" until it is asked for. */
  id: string;
}

/** The best first: by outcome, then the most recent; ties by id. */
function sortByRank(entries: readonly Entry[], lastUs: LastSeen): Entry[] {
  const ranked = entries.map(
    (entry): Ranked => ({ entry, outcome: OUTCOME_RANK[entry.outcome], lastUs: lastUs(entry), id: "" }),
  );
  ranked.sort((a, b) => a.outcome - b.outcome || b.lastUs - a.lastUs || compareIds(a, b));
  return ranked.map(({ entry }) => entry);
}

function compareIds(a: Ranked, b: Ranked): number {
  a.id ||= a.entry.id;
  b.id ||= b.entry.id;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

const written: LastSeen = ({ stored, inFlight }) => Math.max(stored?.lastUs ?? 0, inFlight?.lastUs ?? 0);

/**
 * Selects the first `count` by rank for a report, in turns: the best `share` of each workload, then the next `share` of
 * each, and so on, so that a workload with an unlimited number of violations leaves room for every other.
 */
export function selectFairest(entries: readonly Entry[], count: number, share: number): Entry[] {
  const seen = new Map<EntryGroup | undefined, number>();
  const turns: Entry[][] = [];
  for (const entry of sortByRank(entries, written)) {
    const position = seen.get(entry.group) ?? 0;
    seen.set(entry.group, position + 1);
    const turn = Math.floor(position / share);
    (turns[turn] ??= []).push(entry);
  }
  return turns.flat().slice(0, count);
}

/** Selects the `count` lowest ranked; `cellUs` is the time of the newest alert that a violation's cells have counted. */
export function selectLowest(
  entries: readonly Entry[],
  count: number,
  cellUs: (entry: Entry) => EpochUs,
): Entry[] {
  const lastUs: LastSeen = (entry) => Math.max(written(entry), entry.pending?.lastUs ?? 0, cellUs(entry));
  return sortByRank(entries, lastUs).slice(-count);
}
