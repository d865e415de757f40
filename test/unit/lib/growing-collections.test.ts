// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Collections of many members: what they hold, and how many members one change moves.

import { expect, it, vi } from "vitest";
import { ListedSet } from "../../../src/lib/collections/listed-set.ts";
import { MAX_IN_PART, SplitMap } from "../../../src/lib/collections/split-map.ts";
import { createRandom } from "../../support/random.ts";

it("a list that is a set holds what a Set holds, and gives each member its turn", () => {
  const random = createRandom(7);
  const items = Array.from({ length: 50 }, (_, name) => ({ name, at: 0 }));
  const [set, expected] = [new ListedSet<"at", (typeof items)[0]>("at"), new Set<(typeof items)[0]>()];
  for (let i = 0; i < 5000; i++) {
    const item = items[Math.floor(random() * items.length)]!;
    if (random() < 0.5) expect(set.add(item)).toBe(!expected.has(item) && expected.add(item) !== undefined);
    else expect(set.delete(item)).toBe(expected.delete(item));
    expect(set.has(item)).toBe(expected.has(item));
    expect(new Set(set.list)).toEqual(expected);
  }
  const other = new ListedSet<"at", (typeof items)[0]>("at");
  for (const item of items) set.add(item);
  for (let rounds = 0; rounds < 2 * items.length; rounds++) {
    const next = set.takeNext()!;
    other.add(next);
    set.add(next);
  }
  expect(set.size).toBe(items.length);
  for (let left = set.size; left > 0; left--) expect(set.takeNext()).toBeDefined();
  expect([set.takeNext(), set.size]).toEqual([undefined, 0]);
});

it("a map in parts holds what a Map holds, also while its values are visited, and a change moves one part", () => {
  const random = createRandom(8);
  const [map, expected] = [new SplitMap<number>(), new Map<string, number>()];
  const sets = vi.spyOn(Map.prototype, "set");
  const most = { moved: 0 };
  for (let i = 0; i < 12 * MAX_IN_PART; i++) {
    const before = sets.mock.calls.length;
    map.set(`workload-${i}`, i);
    most.moved = Math.max(most.moved, sets.mock.calls.length - before);
    expected.set(`workload-${i}`, i);
  }
  sets.mockRestore();
  expect(most.moved).toBeLessThanOrEqual(MAX_IN_PART + 2);
  for (const key of [...expected.keys()]) {
    if (random() < 0.5) continue;
    map.delete(key);
    expected.delete(key);
  }
  expect([...map.values()].sort((a, b) => a - b)).toEqual([...expected.values()].sort((a, b) => a - b));
  for (const [key, value] of expected) expect(map.get(key)).toBe(value);
  const grown = new SplitMap<number>();
  grown.set("first", -1);
  const seen = new Set<number>();
  for (const value of grown.values()) {
    if (seen.size === 0) for (let i = 0; i < 2 * MAX_IN_PART; i++) grown.set(`workload-${i}`, i);
    seen.add(value);
  }
  expect(seen.size).toBe(2 * MAX_IN_PART + 1);
});
