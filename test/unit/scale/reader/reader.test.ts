// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it, vi } from "vitest";
import { Publisher } from "../../../../src/scale/reader/publisher.ts";
import { PARTITIONS, ScaleWorld } from "../../../support/scale/world.ts";

it("alerts are read between the counts of one partition and those of the next", async () => {
  const world = new ScaleWorld();
  const process = world.startReaderOfAll();
  await world.run(5000, 0);
  world.nodes.raise(300);
  const sent = vi.spyOn(Publisher.prototype, "send");
  /** Partitions that were sent at each turn. */
  const turns = new Set<number>();
  world.clock.turn = () => {
    turns.add(sent.mock.calls.length);
    return Promise.resolve();
  };
  await world.run(1000, 0);
  // Before the first is sent, it is drained in steps.
  turns.delete(0);
  expect([...turns]).toEqual(Array.from({ length: PARTITIONS }, (_, i) => i + 1));
  vi.restoreAllMocks();
  await world.run(1000, 0);
  const { pending, counters, publisher } = process.reader;
  expect([counters.counted, pending, publisher.published]).toEqual([300, 0, 300]);
});
