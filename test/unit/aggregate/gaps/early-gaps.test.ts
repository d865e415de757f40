// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { EarlyGaps } from "../../../../src/aggregate/gaps/early-gaps.ts";
import { START_US } from "../../../support/gen.ts";

it("a gap of all reports is not also one of a single report", () => {
  const gaps = new EarlyGaps();
  const gap = { kind: "NotRunning", fromUs: START_US, toUs: undefined } as const;
  gaps.addToAll(gap);
  gaps.add("shop/p", gap);
  expect(gaps.take("shop/p")).toEqual([gap]);
});
