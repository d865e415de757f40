// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An owner that continues large reports: the process has its turn after every few of their violations.

import { expect, it } from "vitest";
import { ScaleWorld } from "../../../support/scale/world.ts";

const VIOLATIONS = 3000;

it("stored reports are continued in steps", async () => {
  const world = new ScaleWorld();
  world.startReaderOfAll();
  const first = world.startOwnerOfAll();
  await world.run(1000, 0);
  world.nodes.raise(VIOLATIONS);
  await world.run(20_000, 0);
  world.kill(first);
  let turns = 0;
  world.clock.turn = () => {
    turns++;
    return Promise.resolve();
  };
  world.startOwnerOfAll();
  await world.run(5000, 0);
  expect(turns).toBeGreaterThanOrEqual(3);
  expect(world.findProblems()).toEqual([]);
});
