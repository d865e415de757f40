// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { afterEach, expect, it, vi } from "vitest";
import type { Entry } from "../../../../src/aggregate/entries/entry.ts";
import { EntryTable, MAX_SLOTS } from "../../../../src/aggregate/entries/entry-table.ts";
import { createRandom } from "../../../support/random.ts";

const HELD = 40_000;

afterEach(() => vi.restoreAllMocks());

/** The table reads the key of an entry only. */
function newEntry(i: number): Entry {
  return { key: `key-${i}` } as Entry;
}

/** Many keys of one hash, and hashes that agree in the bits of all branches. */
const HASHES: readonly [string, (random: () => number) => number][] = [
  ["of any bits", (random) => Math.floor(random() * 2 ** 32) | 0],
  ["of few values", (random) => Math.floor(random() * 500)],
];

it.each(HASHES)("a table finds what was added and not deleted, with hashes %s", (_what, hash) => {
  const random = createRandom(7);
  const table = new EntryTable();
  const model = new Map<number, { entry: Entry; hash: number }>();
  for (let i = 0; i < 8000; i++) {
    const added = { entry: newEntry(i), hash: hash(random) };
    table.add(added.entry, added.hash);
    model.set(i, added);
    const old = Math.floor(random() * i);
    const known = model.get(old);
    if (random() < 0.4 && known) {
      expect(table.delete(known.entry.key, known.hash)).toBe(known.entry);
      model.delete(old);
    }
  }
  for (const { entry, hash } of model.values()) expect(table.get(entry.key, hash)).toBe(entry);
  expect(table.get("none", 1)).toBeUndefined();
  expect(table.delete("none", 1)).toBeUndefined();
});

it("a table grows with bounded work", () => {
  const random = createRandom(7);
  const table = new EntryTable();
  const adds = vi.spyOn(EntryTable.prototype, "add");
  let most = 0;
  for (let i = 0; i < HELD; i++) {
    table.add(newEntry(i), Math.floor(random() * 2 ** 32) | 0);
    most = Math.max(most, adds.mock.calls.length);
    adds.mockClear();
  }
  expect(most).toBeLessThanOrEqual(MAX_SLOTS);
});
