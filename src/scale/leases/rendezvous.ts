// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Rendezvous hashing: which shard a node belongs to, which partition a report, which replica a shard.
// Invariant: pure. The same names give the same answer in every process and every version.

import { stableHash } from "../../lib/hash.ts";

/** The weight of a candidate for a key; a larger one wins. */
function weigh(key: string, candidate: string): string {
  return stableHash(`${key}\u001f${candidate}`, 16);
}

/** The index from 0 to `count` - 1 for a key; another count moves only about the share of keys that it must. */
export function pickIndex(key: string, count: number): number {
  let best = 0;
  let bestWeight = "";
  for (let index = 0; index < count; index++) {
    const weight = weigh(key, String(index));
    if (weight <= bestWeight) continue;
    best = index;
    bestWeight = weight;
  }
  return best;
}

/**
 * Assigns each index from 0 to `count` - 1 to one of `members`, at most ⌈count / members⌉ to each. Without members
 * there is no assignment.
 */
export function assignIndexes(count: number, members: readonly string[]): ReadonlyMap<number, string> {
  const assigned = new Map<number, string>();
  const names = [...new Set(members)].sort();
  if (names.length === 0) return assigned;
  const room = new Map(names.map((name) => [name, Math.ceil(count / names.length)]));
  for (let index = 0; index < count; index++) {
    const open = names.filter((name) => (room.get(name) ?? 0) > 0);
    const weighed = open.map((name) => ({ name, weight: weigh(String(index), name) }));
    weighed.sort((a, b) => (a.weight < b.weight ? 1 : -1));
    const name = weighed[0]?.name ?? "";
    assigned.set(index, name);
    room.set(name, (room.get(name) ?? 0) - 1);
  }
  return assigned;
}
