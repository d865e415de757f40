// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { CopyStates } from "../../../src/sinks/openreports/copy-states.ts";

test("a report beyond the bound is counted once, however often it changes, and has a copy once there is room", () => {
  const states = new CopyStates(1);
  expect(states.ensure("a/p", "a", "p")).toEqual({ namespace: "a", name: "p" });
  for (const key of ["a/q", "a/q", "a/r"]) expect(states.ensure(key, "a", key)).toBeUndefined();
  // Two are left out; no more are counted than have a copy.
  expect([states.leftOut, states.known]).toEqual([1, ["a/p", "a/q"]]);
  states.delete("a/p");
  expect(states.ensure("a/q", "a", "q")).toEqual({ namespace: "a", name: "q" });
  expect([states.leftOut, states.known]).toEqual([0, ["a/q"]]);
});
