// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A standby reads from the Lease how much of what the leader counted is persisted, also with clocks that are hours apart
// and that are set.

import { describe, expect, it } from "vitest";
import { createRandom } from "../../support/random.ts";
import { Election } from "./election.ts";

const HOUR_MS = 3_600_000;

/** A leader with counts that wait for up to `lagMs`, by any clock, and a standby. */
async function startPair(leaderSkewMs: number, lagMs = 0) {
  const election = new Election();
  const { world } = election;
  let oldestMs = world.nowMs();
  const leader = election.createCandidate("a", {
    // As LeaderTakeover: the age is monotonic.
    persistedUntilMs: () => leader.process.nowMs() - (world.nowMs() - oldestMs),
  });
  leader.process.skewMs = leaderSkewMs;
  void leader.run();
  await world.advance(100);
  const standby = election.startCandidate("b");
  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 100) {
      await world.advance(100);
      if (world.nowMs() - oldestMs > lagMs) oldestMs = world.nowMs();
    }
  };
  const readMs = () => standby.elector.leaderStatus.persistedHereMs ?? Number.NEGATIVE_INFINITY;
  return { election, leader, standby, world, advance, readMs, readOldestMs: () => oldestMs };
}

describe.each([0, 5 * HOUR_MS, -5 * HOUR_MS, 31 * 24 * HOUR_MS, -31 * 24 * HOUR_MS])(
  "with a leader's clock that is %s ms ahead",
  (skewMs) => {
    it("what is persisted is known some changes later", async () => {
      const { advance, readMs, world } = await startPair(skewMs);
      const startMs = world.nowMs();
      await advance(4000);
      expect(readMs()).toBe(Number.NEGATIVE_INFINITY);
      await advance(16_000);
      expect(readMs()).toBeGreaterThan(startMs);
      expect(readMs()).toBeLessThanOrEqual(world.nowMs());
    });

    it("what waits to be written is never taken for persisted", async () => {
      const { advance, readMs, readOldestMs, world } = await startPair(skewMs, HOUR_MS);
      const oldestMs = readOldestMs();
      await advance(60_000);
      expect(readMs()).toBeLessThanOrEqual(oldestMs);
      expect(world.nowMs() - oldestMs).toBe(60_100);
    });
  },
);

it("follows a leader that finds a gap of its stream late: nothing since the gap began is known to be persisted", async () => {
  const election = new Election();
  const { world } = election;
  let heldMs: number | undefined;
  const leader = election.createCandidate("a", { persistedUntilMs: () => heldMs ?? world.nowMs() });
  void leader.run();
  await world.advance(100);
  const { elector } = election.startCandidate("b");
  await world.advance(60_000);
  heldMs = world.nowMs() - 40_000;
  await world.advance(10_000);
  expect(elector.leaderStatus.persistedHereMs).toBeLessThanOrEqual(heldMs);
  expect(elector.leaderStatus.persistedHereMs).toBeGreaterThan(heldMs - 10_000);
  heldMs = undefined;
  await world.advance(20_000);
  expect(elector.leaderStatus.persistedHereMs).toBeGreaterThan(world.nowMs() - 15_000);
});

it.each(Array.from({ length: 30 }, (_, seed) => seed))(
  "is never too late while both clocks are set, and the next leader copies the time of the first (seed %s)",
  async (seed) => {
    const random = createRandom(seed);
    const pick = (max: number) => Math.floor(random() * max);
    const pair = await startPair((random() - 0.5) * 60 * HOUR_MS, pick(20_000));
    const { advance, election, leader, readMs, readOldestMs, standby } = pair;
    for (let i = 0; i < 40; i++) {
      await advance(100 * pick(30));
      // Set ahead by more than seconds it would give up the Lease.
      if (random() < 0.3) leader.process.skewMs += random() * 4000 - (random() < 0.5 ? 10 * HOUR_MS : 0);
      if (random() < 0.3) standby.process.skewMs += (random() - 0.5) * 10 * HOUR_MS;
      expect(readMs()).toBeLessThanOrEqual(readOldestMs());
    }
    const before = readMs();
    expect(before).toBeGreaterThan(Number.NEGATIVE_INFINITY);
    // A third one that knows nothing takes over; it copies a time that is by another clock.
    leader.process.freeze();
    standby.process.freeze();
    const third = election.startCandidate("c", { isWarm: () => true });
    third.process.skewMs = (random() - 0.5) * 60 * HOUR_MS;
    await election.world.advance(40_000);
    expect(third.elector.isLeader).toBe(true);
    const fourth = election.startCandidate("d");
    await election.world.advance(20_000);
    expect(fourth.elector.leaderStatus.persistedHereMs).toBeUndefined();
  },
);
