// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { type ElectorState, NEXT_ELECTOR_STATE } from "../../../../src/leadership/election/elector-states.ts";

const STATES = Object.keys(NEXT_ELECTOR_STATE) as ElectorState[];

it("only a replica that tries begins to lead", () => {
  expect(STATES.filter((state) => NEXT_ELECTOR_STATE[state].won === "leading")).toEqual([
    "acquiring",
    "regaining",
    "leading",
  ]);
});

it("no replica leads, or tries to keep, a Lease that another holds", () => {
  expect(STATES.map((state) => NEXT_ELECTOR_STATE[state].taken)).toEqual([
    "idle",
    "acquiring",
    "idle",
    "idle",
    "released",
  ]);
});

it("from every state released is final", () => {
  expect(STATES.map((state) => NEXT_ELECTOR_STATE[state].released)).toEqual(STATES.map(() => "released"));
  expect(new Set(Object.values(NEXT_ELECTOR_STATE.released))).toEqual(new Set(["released"]));
});
