// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The bound of positions that an owner remembers: reports come and go with their namespaces.

import { expect, it } from "vitest";
import { RecentPositions } from "../../../../src/scale/owner/recent-positions.ts";

const MAX = 20_000;

it("the position of the report written the longest ago is forgotten at the bound", () => {
  const positions = new RecentPositions<number>();
  for (let i = 0; i < MAX; i++) positions.set(`report-${i}`, i);
  positions.set("report-0", MAX);
  positions.set("report-new", MAX + 1);
  expect(["report-0", "report-1", "report-2", "report-new"].map((key) => positions.get(key))).toEqual([
    MAX,
    undefined,
    2,
    MAX + 1,
  ]);
});
