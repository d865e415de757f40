// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { assignIndexes, pickIndex } from "../../../../src/scale/leases/rendezvous.ts";
import { checkAll } from "../../../support/gen.ts";

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 8 });

describe("pickIndex", () => {
  it("moves a key only to the new index when one is added", () => {
    checkAll(100, [fc.string(), fc.integer({ min: 1, max: 16 })], (key, count) => {
      const before = pickIndex(key, count);
      const after = pickIndex(key, count + 1);
      expect([before, count]).toContain(after);
      expect(before).toBeLessThan(count);
    });
  });

  it("gives each index a share of the keys", () => {
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 2000; i++) counts[pickIndex(`node-${i}`, 4)]!++;
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(100);
  });
});

describe("assignIndexes", () => {
  it("gives each index to one member, and no member more than its share", () => {
    checkAll(100, [fc.integer({ min: 1, max: 32 }), names], (count, members) => {
      const assigned = assignIndexes(count, members);
      expect([...assigned.keys()]).toEqual(Array.from({ length: count }, (_, index) => index));
      for (const member of members) {
        const held = [...assigned.values()].filter((holder) => holder === member).length;
        expect(held).toBeLessThanOrEqual(Math.ceil(count / members.length));
      }
    });
  });

  it("depends on the members, not on their order", () => {
    checkAll(100, [fc.integer({ min: 1, max: 32 }), names], (count, members) => {
      expect(assignIndexes(count, [...members].reverse())).toEqual(assignIndexes(count, members));
    });
  });

  it("assigns nothing without members", () => {
    expect(assignIndexes(4, []).size).toBe(0);
  });
});
