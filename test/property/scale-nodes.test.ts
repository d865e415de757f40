// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Nodes that are not read for a while, with several processes: every report says so while it lasts, and none afterwards.

import fc from "fast-check";
import { expect, it } from "vitest";
import { runs } from "../support/gen.ts";
import { ScaleWorld, SHARDS } from "../support/scale/world.ts";

const RUNS = Number(process.env["SCALE_RUNS"] ?? 1);

async function runLife(seed: number): Promise<void> {
  const world = new ScaleWorld(seed);
  const chance = (max: number) => Math.floor(world.clock.random() * max);
  const [reader, owner] = [world.startReaderOfAll(), world.startOwnerOfAll()];
  await world.run(1000, 0);
  await world.run(8000, 50);
  const shard = chance(SHARDS);
  world.nodes.cut(shard);
  // Reports of the second namespace begin meanwhile.
  world.nodes.namespaces = ["shop", "bank"];
  await world.run(5000 + chance(20_000));
  expect(world.findProblems()).toEqual([]);
  expect(world.sink.reports.length).toBe(8);
  for (const { coverage } of world.sink.reports) expect(coverage.continuousSince).toBeUndefined();
  if (chance(2) === 0) {
    world.kill(reader);
    world.startReaderOfAll();
  }
  if (chance(2) === 0) {
    world.kill(owner);
    world.startOwnerOfAll();
  }
  await world.run(chance(5000));
  world.nodes.reconnect(shard);
  await world.run(20_000);
  for (const { coverage } of world.sink.reports) {
    expect(coverage.continuousSince).toBeDefined();
    expect(coverage.recent?.filter(({ to }) => to === undefined)).toEqual([]);
  }
  await world.run(40_000, 0);
  expect(world.findProblems()).toEqual([]);
}

it("reports of several processes declare nodes that are not read, also those that begin meanwhile", async () => {
  const seeds = fc.integer({ min: 1, max: 1_000_000 });
  await fc.assert(fc.asyncProperty(seeds, runLife), runs(RUNS));
}, 300_000);
