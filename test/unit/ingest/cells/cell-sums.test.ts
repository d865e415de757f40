// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { CellSums } from "../../../../src/ingest/cells/cell-sums.ts";

const HOUR_US = 3_600_000_000;

it("counts in any order, and gives each count away once", () => {
  const sums = new CellSums();
  const sum = sums.reserve();
  for (const us of [20, 10, 30]) expect(sums.count(sum, us)).toBe(true);
  expect(sums.take(sum)).toEqual({ occurrences: 3, firstUs: 10, lastUs: 30 });
  expect(sums.take(sum)).toBeUndefined();
});

it("refuses an alert of another hour until the sum is taken", () => {
  const sums = new CellSums();
  const sum = sums.reserve();
  sums.count(sum, HOUR_US - 1);
  expect([sums.count(sum, HOUR_US), sums.count(sum, HOUR_US - 2)]).toEqual([false, true]);
  expect(sums.take(sum)?.occurrences).toBe(2);
  expect(sums.count(sum, HOUR_US)).toBe(true);
});

it("has room for any number of counters, and gives sums that were released to others, empty", () => {
  const sums = new CellSums();
  const all = Array.from({ length: 1000 }, () => sums.reserve());
  for (const first of all) for (const i of [0, 1, 2]) sums.count(first + i, first + i + 1);
  expect(all.map((first) => [0, 1, 2].map((i) => sums.take(first + i)?.firstUs))).toEqual(
    all.map((first) => [first + 1, first + 2, first + 3]),
  );
  const { bytes } = sums;
  const [, second = 0] = all;
  sums.count(second, 5);
  sums.release(second);
  expect(sums.bytes).toBeLessThan(bytes);
  expect(sums.reserve()).toBe(second);
  expect(sums.take(second)).toBeUndefined();
  expect(sums.bytes).toBe(bytes);
});
