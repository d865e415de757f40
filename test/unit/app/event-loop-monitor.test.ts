// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, it } from "vitest";
import { monitorEventLoopStalls } from "../../../src/app/event-loop-monitor.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeProcess } from "../leadership/lease-server.ts";

function startMonitor() {
  const world = new FakeClock();
  const process = new FakeProcess(world);
  const stalls: number[] = [];
  const stop = monitorEventLoopStalls(process, (ms) => stalls.push(ms));
  const standStill = async (ms: number) => {
    process.freeze();
    await world.advance(ms);
    await process.thaw("timer");
  };
  return { world, process, stalls, stop, standStill };
}

it("reports a stall once, from the last beat before it", async () => {
  const { world, stalls, standStill } = startMonitor();
  await world.advance(1100);
  // The next beat was due at 1.5 s, and comes at 7 s.
  await standStill(5900);
  expect(stalls).toEqual([6000]);
  await world.advance(60_000);
  expect(stalls).toEqual([6000]);
  await standStill(20_000);
  expect(stalls).toHaveLength(2);
});

it("does not report shorter ones", async () => {
  const { world, stalls, standStill } = startMonitor();
  for (let n = 0; n < 20; n++) {
    await standStill(4900);
    await world.advance(100);
  }
  expect(stalls).toEqual([]);
});

it("does not take a clock that is set for a standstill", async () => {
  const { world, process, stalls } = startMonitor();
  await world.advance(1000);
  process.skewMs = 3_600_000;
  await world.advance(1000);
  process.skewMs = -3_600_000;
  await world.advance(1000);
  expect(stalls).toEqual([]);
});

it("leaves no timer once it is stopped", async () => {
  const { world, stop } = startMonitor();
  await world.advance(1000);
  stop();
  expect(world.pending).toBe(0);
});
