// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A candidate that is not caught up: it leaves the Lease to one that may have read everything, and takes it in the end.

import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import { Election } from "./election.ts";
import { FakeProcess } from "./lease-server.ts";

let election: Election;

beforeEach(() => {
  election = new Election();
});

const unavailable = new ApiError("Unavailable", "GET https://10.0.0.1: ECONNREFUSED");

describe("a candidate that would have a gap", () => {
  const cold = { isWarm: () => false };
  const warm = { isWarm: () => true };

  /** A standby that announced itself and then died. */
  async function announceAndDie(): Promise<void> {
    const b = election.startCandidate("b", warm);
    await election.world.advance(10);
    expect(standby()).toBe("b");
    b.process.freeze();
  }

  const standby = () => election.server.lease?.metadata.annotations?.["reports.kubearmor.com/standby"];

  test("leaves a Lease that has expired in an outage to one that has none, though that one sees it much later", async () => {
    const a = await election.createLeader("a");
    // Not caught up, and as quick as a candidate can be; the other is as slow.
    const c = election.createCandidate("c", cold, new FakeProcess(election.world, () => 0));
    const b = election.startCandidate("b", warm, new FakeProcess(election.world, () => 0.999));
    void c.run();
    await election.world.advance(3000);
    a.process.freeze();
    for (const { connection } of [b, c]) connection.weather = () => ({ error: unavailable });
    await election.world.advance(60_000);
    // b has not seen the last sign of life of a, and c has. A request of b is under way, and hangs for 5 s.
    b.connection.weather = ({ method }) => (method === "GET" && election.nowMs < 67_000 ? { lost: "request" } : {});
    await election.world.advance(4400);
    c.connection.weather = () => ({});
    await election.world.advance(60_000);
    expect([b.elector.isLeader, c.elector.isLeader]).toEqual([true, false]);
    expect(election.record).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });

  test("takes it all the same when no other replica does", async () => {
    const a = await election.createLeader("a");
    await announceAndDie();
    const c = election.startCandidate("c", cold);
    await election.world.advance(3000);
    a.process.freeze();
    // 28.8 s after its first look at what it last saw, at 3.2.
    await election.expectToLead(c, 28_500, 4000);
    expect(standby()).toBe("b");
  });

  test("takes one that was freed after three looks", async () => {
    const a = await election.createLeader("a");
    await announceAndDie();
    const c = election.startCandidate("c", cold);
    await election.world.advance(3300);
    await Promise.all([a.elector.release(), election.world.advance(10)]);
    await election.expectToLead(c, 9500, 3300);
  });

  test("takes one that was freed at its first look where no standby is announced", async () => {
    const a = await election.createLeader("a");
    await Promise.all([a.elector.release(), election.world.advance(10)]);
    const c = election.startCandidate("c", cold);
    await election.world.advance(10);
    expect(c.elector.isLeader).toBe(true);
    expect(c.elector.leaderStatus.predecessor).toMatchObject({ holder: "", isSelf: false });
  });

  test("leaves the Lease of its own earlier process to an announced standby", async () => {
    const a = await election.createLeader("a");
    const b = election.startCandidate("b", warm);
    await election.world.advance(3000);
    a.process.freeze();
    const restarted = election.startCandidate("a", cold);
    await election.world.advance(20_000);
    expect([b.elector.isLeader, restarted.elector.isLeader]).toEqual([true, false]);
    expect(b.elector.leaderStatus.predecessor).toMatchObject({ holder: "a", isSelf: false });
  });

  test("takes the Lease of its own earlier process when the announced standby is dead", async () => {
    const a = await election.createLeader("a");
    await announceAndDie();
    a.process.freeze();
    const restarted = election.startCandidate("a", cold);
    await election.world.advance(35_000);
    expect(restarted.elector.isLeader).toBe(true);
  });

  test("takes an expired one at once where no standby is announced", async () => {
    const a = await election.createLeader("a");
    a.process.freeze();
    const c = election.startCandidate("c", cold);
    await election.expectToLead(c, 14_900, 200);
  });
});

describe("a leader that misses alerts", () => {
  const missing = () => election.server.lease?.metadata.annotations?.["reports.kubearmor.com/alerts-missing-since"];

  test("says so in its Lease as long as it does, and no longer than it leads", async () => {
    let sinceMs: number | undefined;
    const a = await election.createLeader("a", { missingSinceMs: () => sinceMs });
    expect(missing()).toBeUndefined();
    sinceMs = election.startMs;
    await election.world.advance(3000);
    expect(missing()).toBe("2026-11-23T10:00:00.000000Z");
    sinceMs = undefined;
    await election.world.advance(3000);
    expect(missing()).toBeUndefined();
    sinceMs = election.startMs;
    await election.world.advance(3000);
    const b = election.startCandidate("b");
    await Promise.all([a.elector.release(), election.world.advance(5000)]);
    expect([b.elector.isLeader, missing()]).toEqual([true, undefined]);
  });
});

describe("a standby that would have no gap", () => {
  const warm = { isWarm: () => true };
  const standby = () => election.server.lease?.metadata.annotations?.["reports.kubearmor.com/standby"];

  test("announces itself once, and the leader keeps its Lease", async () => {
    const a = await election.createLeader("a", warm);
    const b = election.startCandidate("b", warm);
    await election.world.advance(10_000);
    expect(standby()).toBe("b");
    expect(b.connection.requests.filter(({ request }) => request.method === "PUT")).toHaveLength(1);
    expect([a.elector.isLeader, b.elector.isLeader]).toEqual([true, false]);
  });

  test("withdraws when it stops, and when it leads", async () => {
    const a = await election.createLeader("a", warm);
    const b = election.startCandidate("b", warm);
    await election.world.advance(3000);
    await Promise.all([b.elector.release(), election.world.advance(100)]);
    expect(standby()).toBeUndefined();
    const c = election.startCandidate("c", warm);
    await election.world.advance(3000);
    expect(standby()).toBe("c");
    await Promise.all([a.elector.release(), election.world.advance(5000)]);
    expect([c.elector.isLeader, standby()]).toEqual([true, undefined]);
  });
});
