// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AcceptanceIndex, type IndexLimits } from "../../../src/acceptance/acceptance-index.ts";
import { type ReadAcceptance, readAcceptance } from "../../../src/acceptance/parse-acceptance.ts";
import { toObjectKey } from "../../../src/lib/object-key.ts";
import { checkAll } from "../../support/gen.ts";

function read(namespace: string, name: string, policy = "p"): ReadAcceptance {
  const spec = { match: { policy }, reason: "a test" };
  const found = readAcceptance({ metadata: { namespace, name, uid: "u", generation: 1 }, spec });
  if (!found) throw new Error("not read");
  return found;
}

function createIndex(all: readonly ReadAcceptance[], limits: IndexLimits = {}): AcceptanceIndex {
  const index = new AcceptanceIndex(() => 0, limits);
  for (const each of all) index.put(each);
  return index;
}

function createMany(namespace: string, count: number): ReadAcceptance[] {
  return Array.from({ length: count }, (_, i) => read(namespace, `a${String(i).padStart(5, "0")}`, `p${i % 7}`));
}

describe("the bound of all acceptances", () => {
  it("is not filled by one namespace", () => {
    const index = new AcceptanceIndex(() => 0);
    const left = createMany("evil", 10_050).flatMap((each) => index.put(each));
    expect(left).toHaveLength(9050);
    expect(index.put(read("shop", "vendor"))).toEqual([]);
    expect(index.size).toBe(1001);
    expect(index.effective("shop", "p")?.names).toEqual(["vendor"]);
  });

  it("takes from the namespace with the most when several fill it", () => {
    const index = createIndex([...createMany("a", 6), ...createMany("b", 6)], { max: 10, maxPerNamespace: 8 });
    const left = index.put(read("shop", "vendor"));
    expect(left.map(toObjectKey)).toEqual(["b/a00004"]);
    expect(index.get({ namespace: "shop", name: "vendor" })).toBeDefined();
    expect(index.size).toBe(10);
  });

  it("leaves out the same ones in any order of reading", () => {
    const all = [...createMany("a", 9), ...createMany("b", 4), ...createMany("c", 12), ...createMany("d", 1)];
    const limits = { max: 13, maxPerNamespace: 7 };
    const kept = (list: readonly ReadAcceptance[]) => [...createIndex(list, limits).values()].map(toObjectKey).sort();
    const expected = kept(all);
    expect(expected).toHaveLength(13);
    checkAll(100, [fc.shuffledSubarray(all, { minLength: all.length })], (list) => {
      expect(kept(list)).toEqual(expected);
    });
  });
});

it("the acceptances of one policy that have effect are the first 100 by name after additions and removals", () => {
  const names = Array.from({ length: 130 }, (_, i) => `n${String(i).padStart(3, "0")}`);
  const change = fc.tuple(fc.boolean(), fc.constantFrom(...names));
  checkAll(20, [fc.array(change, { maxLength: 400 })], (changes) => {
    const index = createIndex(names.map((name) => read("shop", name)));
    const there = new Set(names);
    for (const [isThere, name] of changes) {
      if (isThere) index.put(read("shop", name));
      else index.remove({ namespace: "shop", name });
      if (isThere) there.add(name);
      else there.delete(name);
    }
    const sorted = [...there].sort();
    expect(index.effective("shop", "p")?.names ?? []).toEqual(sorted.slice(0, 100));
    for (const each of index.group("shop", "p")) {
      expect(index.findRefusal(each) === undefined).toBe(sorted.indexOf(each.name) < 100);
    }
  });
});
