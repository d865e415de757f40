// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Order in which violations are listed and evicted where there is no room for all. Invariant: a total order over their
// content, so that neither the order of alerts nor of writes changes it; one workload takes no room from another that
// has less.

import { SplitMap } from "../../lib/collections/split-map.ts";
import { compare } from "../../lib/compare.ts";
import { type Steps, VISITS_PER_STEP, visitInSteps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { Entry } from "./entry.ts";

/** Allowed outlives Unknown, and that outlives Prevented. */
const OUTCOME_RANK = { Allowed: 0, Unknown: 1, Prevented: 2 } as const;

type LastSeen = (entry: Entry) => EpochUs;

/** Values that the rank of an entry depends on, read once. */
interface Ranked {
  readonly entry: Entry;
  readonly outcome: number;
  readonly lastUs: EpochUs;
  /** "" until it is asked for. */
  id: string;
}

function rank(entry: Entry, lastUs: LastSeen): Ranked {
  return { entry, outcome: OUTCOME_RANK[entry.outcome], lastUs: lastUs(entry), id: "" };
}

/** The best first: by outcome, then the most recent; ties by id. */
function compareRanks(a: Ranked, b: Ranked): number {
  return a.outcome - b.outcome || b.lastUs - a.lastUs || compareIds(a, b);
}

function compareIds(a: Ranked, b: Ranked): number {
  a.id ||= a.entry.id;
  b.id ||= b.entry.id;
  return compare(a.id, b.id);
}

const written: LastSeen = ({ stored, inFlight }) => Math.max(stored?.lastUs ?? 0, inFlight?.lastUs ?? 0);

/** The best of many, without sorting all of them. */
class Best {
  readonly #count: number;
  #kept: Ranked[] = [];
  /** The last of those that are certain to be worth keeping. */
  #worst: Ranked | undefined;

  constructor(count: number) {
    this.#count = count;
  }

  add(ranked: Ranked): void {
    if (this.#worst && compareRanks(ranked, this.#worst) > 0) return;
    this.#kept.push(ranked);
    if (this.#kept.length >= 2 * this.#count) this.#worst = this.sorted().at(-1);
  }

  /** At most `count`, the best first. */
  sorted(): readonly Ranked[] {
    this.#kept.sort(compareRanks);
    this.#kept.length = Math.min(this.#kept.length, this.#count);
    return this.#kept;
  }
}

/**
 * Selects the first `count` by rank for a report, in turns: the best `share` of each workload, then the next `share` of
 * each, and so on, so that a workload with an unlimited number of violations leaves room for every other.
 */
export function* selectFairest(entries: Iterable<Entry>, count: number, share: number): Steps<Entry[]> {
  if (count === 0) return [];
  const groups = new SplitMap<Best>();
  yield* visitInSteps(entries, (entry) => {
    const workload = entry.group?.workload ?? "";
    let best = groups.get(workload);
    if (!best) groups.set(workload, (best = new Best(count)));
    best.add(rank(entry, written));
  });
  const turns: Best[] = [];
  yield* visitInSteps(
    groups.values(),
    (best) => {
      for (const [position, ranked] of best.sorted().entries())
        (turns[Math.floor(position / share)] ??= new Best(count)).add(ranked);
    },
    Math.max(1, Math.floor(VISITS_PER_STEP / count)),
  );
  return turns
    .flatMap((best) => best.sorted())
    .slice(0, count)
    .map(({ entry }) => entry);
}

/** Selects the `count` lowest ranked; `cellUs` is the time of the newest alert that a violation's cells have counted. */
export function selectLowest(entries: readonly Entry[], count: number, cellUs: (entry: Entry) => EpochUs): Entry[] {
  const lastUs: LastSeen = (entry) => Math.max(written(entry), entry.pending?.lastUs ?? 0, cellUs(entry));
  return entries
    .map((entry) => rank(entry, lastUs))
    .sort(compareRanks)
    .slice(-count)
    .map(({ entry }) => entry);
}
