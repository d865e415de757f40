// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An owner that continues large reports: the process has its turn after every few of their violations.

import { expect, it } from "vitest";
import { PARTITIONS, ScaleWorld, SHARDS } from "../../../support/scale/world.ts";

const VIOLATIONS = 3000;

it("stored reports are continued in steps", async () => {
  const world = new ScaleWorld();
  const reader = world.startReader();
  for (let shard = 0; shard < SHARDS; shard++) world.giveShard(shard, reader);
  const startOwner = () => {
    const owner = world.startOwner();
    for (let partition = 0; partition < PARTITIONS; partition++) world.givePartition(partition, owner);
    return owner;
  };
  const first = startOwner();
  await world.run(1000, 0);
  world.raise(VIOLATIONS);
  await world.run(20_000, 0);
  world.kill(first);
  let turns = 0;
  world.clock.turn = () => {
    turns++;
    return Promise.resolve();
  };
  startOwner();
  await world.run(5000, 0);
  expect(turns).toBeGreaterThanOrEqual(3);
  expect(world.findProblems()).toEqual([]);
});
