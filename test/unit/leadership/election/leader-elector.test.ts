// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One candidate or two on a fake clock, against a Lease in memory that knows resource versions. Every request takes 1 ms
// to the server and 1 ms back. Rules for any course of events are in leader-elector-simulation.test.ts.

import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../../../src/kube/api-error.ts";
import { LeaderElector } from "../../../../src/leadership/election/leader-elector.ts";
import { silentLogger } from "../../../../src/lib/logger.ts";
import { DEFAULTS, Election } from "../election.ts";

let election: Election;

beforeEach(() => {
  election = new Election();
});

/** A Lease as another program wrote it, by a clock of another century. */
function createForeignLease(holderIdentity: string, leaseDurationSeconds = 15) {
  const time = "1999-01-01T00:00:00.000000Z";
  return {
    metadata: { name: "operator", labels: { team: "security" }, annotations: { note: "keep" } },
    spec: { holderIdentity, leaseDurationSeconds, acquireTime: time, renewTime: time, leaseTransitions: 3 },
  };
}

describe("a candidate", () => {
  test("creates the Lease and leads", async () => {
    const a = election.startCandidate("a");
    await election.expectToLead(a, 3, 1);
    expect(a.elector.holder).toBe("a");
    expect(a.terms.map((term) => term.aborted)).toEqual([false]);
    expect(election.server.methods).toEqual(["GET", "POST"]);
    expect(election.server.lease).toEqual({
      metadata: {
        name: "operator",
        uid: "uid-100",
        resourceVersion: "101",
        labels: { "app.kubernetes.io/managed-by": "policy-violation-operator" },
      },
      spec: {
        holderIdentity: "a",
        leaseDurationSeconds: 15,
        acquireTime: "2026-11-23T10:00:00.002500Z",
        renewTime: "2026-11-23T10:00:00.002000Z",
        leaseTransitions: 0,
      },
    });
  });

  test("rounds the duration in the Lease up to whole seconds", async () => {
    await election.createLeader("a", { leaseDurationMs: 1100, renewDeadlineMs: 900, retryPeriodMs: 100 });
    expect(election.server.lease?.spec.leaseDurationSeconds).toBe(2);
  });

  test.each(["1999-01-01T00:00:00.000000Z", "2077-01-01T00:00:00.000000Z"])(
    "waits the holder's duration from when it saw the Lease, with any time in it (%s)",
    async (renewTime) => {
      const lease = createForeignLease("z", 60);
      election.server.set({ ...lease, spec: { ...lease.spec, renewTime } });
      const a = election.startCandidate("a");
      await election.world.advance(60_001);
      expect(a.elector).toMatchObject({ isLeader: false, holder: "z" });
      expect(election.server.methods).not.toContain("PUT");
      // Its next try is 1 + 1.2 / 2 retry periods after the last.
      await election.world.advance(3210);
      expect(a.elector.isLeader).toBe(true);
      expect(election.record).toMatchObject({ holderIdentity: "a", leaseTransitions: 4 });
      expect(election.server.lease?.spec.leaseDurationSeconds).toBe(15);
      expect(election.server.lease?.metadata).toMatchObject({
        labels: { team: "security" },
        annotations: { note: "keep" },
      });
    },
  );

  test("takes a Lease that was seen unchanged before, when its duration is over", async () => {
    election.server.set(createForeignLease("another"));
    const renewTime = createForeignLease("another").spec.renewTime;
    const a = election.startCandidate("a", { getUnchangedMs: (of) => (of === renewTime ? 10_000 : 0) });
    await election.expectToLead(a, 4900, 200);
  });

  test("takes one that is renewed meanwhile only a whole duration later", async () => {
    election.server.set(createForeignLease("another"));
    const a = election.startCandidate("a", { getUnchangedMs: () => 10_000 });
    await election.world.advance(1000);
    const renewed = createForeignLease("another");
    renewed.spec.renewTime = "1999-01-01T00:00:02.000000Z";
    election.server.set(renewed);
    await election.expectToLead(a, 15_000, 3000);
  });

  test("waits again after each sign of life", async () => {
    election.server.set(createForeignLease("z"));
    const a = election.startCandidate("a");
    for (let second = 10; second < 60; second += 10) {
      await election.world.advance(10_000);
      const lease = createForeignLease("z");
      election.server.set({ ...lease, spec: { ...lease.spec, renewTime: `1999-01-01T00:00:${second}.000000Z` } });
    }
    await election.expectToLead(a, 14_000, 10_000);
  });

  test("does not take a clock that is set forward for time that has passed", async () => {
    election.server.set(createForeignLease("z"));
    const a = election.startCandidate("a");
    await election.world.advance(5000);
    a.process.skewMs = 3_600_000;
    await election.world.advance(9000);
    expect(a.elector.isLeader).toBe(false);
    expect(election.server.methods).not.toContain("PUT");
  });

  test("does not take a duration beyond the longest timer for none", async () => {
    election.server.set(createForeignLease("z", 2 ** 31 - 1));
    const a = election.createCandidate("a");
    const asked: number[] = [];
    const { after } = a.process;
    a.process.after = (ms, fn) => {
      asked.push(ms);
      return after.call(a.process, ms, fn);
    };
    void a.run();
    await election.world.advance(100);
    // Node fires a timer of 2^31 ms or more at once.
    expect(Math.max(...asked)).toBe(2_147_483_647);
    a.stop.abort();
  });

  test("takes a free Lease at once", async () => {
    election.server.set(createForeignLease(""));
    const a = await election.createLeader("a");
    expect(election.record).toMatchObject({ holderIdentity: "a", leaseTransitions: 4 });
    expect(a.logged.map(({ fields }) => fields)).toEqual([{ lease: "security/operator", holder: "a" }]);
  });

  test("of the holder's identity takes over at once, as its next process", async () => {
    const before = await election.createLeader("same");
    const next = await election.createLeader("same");
    expect(next.elector.leaderStatus.predecessor).toMatchObject({ holder: "same", isSelf: true });
    expect(election.record).toMatchObject({ holderIdentity: "same", leaseTransitions: 1 });
    await election.world.advance(120_000);
    expect([before.elector.isLeader, next.elector.isLeader]).toEqual([false, true]);
  });

  test("with a claim that was carried out without an answer leads", async () => {
    const a = election.createCandidate("a");
    a.connection.weather = ({ method }) => (method === "POST" ? { lost: "answer" } : {});
    void a.run();
    await election.world.advance(5500);
    expect(a.elector.isLeader).toBe(false);
    expect(election.record).toMatchObject({ holderIdentity: "a" });
    await election.world.advance(3000);
    expect(a.elector.isLeader).toBe(true);
    expect(election.record).toEqual({
      holderIdentity: "a",
      acquireTime: "2026-11-23T10:00:00.002500Z",
      renewTime: "2026-11-23T10:00:08.204000Z",
      leaseTransitions: 0,
    });
  });

  test("that gives up gets undefined and leaves no timer", async () => {
    election.server.set(createForeignLease("z"));
    const a = election.startCandidate("a");
    await election.world.advance(5000);
    a.stop.abort();
    await election.world.advance(0);
    expect({ gaveUp: a.gaveUp, timers: election.world.pending }).toEqual({ gaveUp: 1, timers: 0 });
  });

  test("asks for nothing when it has given up before", async () => {
    const a = election.createCandidate("a");
    a.stop.abort();
    await a.run();
    expect([a.gaveUp, election.server.methods]).toEqual([1, []]);
  });

  test("waits 1 to 2.2 retry periods between its tries, and as long as the server asks", async () => {
    election.server.set(createForeignLease("z", 3600));
    for (const [random, pauseMs] of [
      [0, 2000],
      [0.999999, 4399],
    ] as const) {
      const a = election.createCandidate("a");
      a.process.random = () => random;
      void a.run();
      await election.world.advance(2 + pauseMs);
      expect(a.connection.requests).toHaveLength(random === 0 ? 2 : 1);
      await election.world.advance(1);
      expect(a.connection.requests).toHaveLength(2);
      const error = new ApiError("Throttled", "too many requests", { retryAfterMs: 20_000 });
      a.connection.weather = () => ({ error });
      await election.world.advance(4500);
      expect(a.connection.requests).toHaveLength(3);
      await election.world.advance(14_000);
      expect(a.connection.requests).toHaveLength(3);
      await election.world.advance(6000);
      expect(a.connection.requests).toHaveLength(4);
      a.stop.abort();
    }
  });
});

describe("a leader", () => {
  test("renews every retry period by one PUT", async () => {
    const a = await election.createLeader("a");
    await election.world.advance(20_000);
    // A period begins when a renewal is sent; the first, when leading began.
    expect(a.connection.requests.slice(2).map(({ request }) => request.method)).toEqual(Array(10).fill("PUT"));
    expect(a.connection.requests.slice(-2).map(({ atMs }) => atMs - election.startMs)).toEqual([18_004, 20_004]);
    expect(a.elector.isLeader).toBe(true);
    expect(election.record).toEqual({
      holderIdentity: "a",
      acquireTime: "2026-11-23T10:00:00.002500Z",
      renewTime: "2026-11-23T10:00:20.004000Z",
      leaseTransitions: 0,
    });
    expect(await a.elector.acquire(a.stop.signal)).toBe(a.terms[0]);
  });

  test("keeps a Lease that another client annotated, and the annotation", async () => {
    const a = await election.createLeader("a");
    const lease = structuredClone(election.server.lease);
    if (lease === undefined) throw new Error("there is a Lease");
    election.server.set({ ...lease, metadata: { ...lease.metadata, annotations: { note: "seen" } } });
    await election.world.advance(2100);
    expect(election.server.methods.slice(2)).toEqual(["PUT", "GET", "PUT"]);
    expect(a.elector.isLeader).toBe(true);
    expect(election.server.lease?.metadata.annotations).toEqual({ note: "seen" });
  });

  test("with a renewal that was carried out without an answer goes on leading", async () => {
    const a = await election.createLeader("a");
    a.connection.weather = () => ({ lost: "answer" });
    await election.world.advance(2000);
    a.connection.weather = () => ({});
    await election.world.advance(60_000);
    expect(a.lostAtMs).toEqual([]);
    expect(a.elector.isLeader).toBe(true);
  });

  test("that finds its Lease deleted creates it again, before one who knew the Lease may", async () => {
    const a = await election.createLeader("a");
    const b = election.startCandidate("b");
    await election.world.advance(1000);
    election.server.lease = undefined;
    a.connection.weather = () => ({ error: new ApiError("Unavailable", "down") });
    await election.world.advance(6000);
    expect(b.elector.isLeader).toBe(false);
    a.connection.weather = () => ({});
    await election.world.advance(2000);
    expect(a.lostAtMs).toEqual([]);
    expect(election.record).toMatchObject({ holderIdentity: "a", leaseTransitions: 0 });
  });

  test.each([
    ["z", "the Lease security/operator was taken by z"],
    ["", "the Lease security/operator was released by another client"],
  ])("that finds its Lease in other hands (%j) stops, and may try again", async (holder, reason) => {
    const a = await election.createLeader("a");
    election.server.set(createForeignLease(holder));
    await election.world.advance(2000);
    expect(a.elector.isLeader).toBe(false);
    expect(a.terms[0]?.reason).toBe(reason);
    expect(election.record).toMatchObject({ holderIdentity: holder });
    expect(a.logged.at(-1)).toMatchObject({ level: "warn", fields: { lease: "security/operator", reason } });
    void a.run();
    await election.world.advance(20_000);
    expect(a.elector.isLeader).toBe(true);
    expect(election.record).toMatchObject({ holderIdentity: "a", leaseTransitions: 4 });
    expect(election.server.lease?.spec.acquireTime).not.toBe("2026-11-23T10:00:00.002500Z");
  });
});

test.each([
  ["an empty identity", { identity: "" }],
  ["a lease as long as the renew deadline", { leaseDurationMs: 10_000 }],
  ["a renew deadline of 1.2 retry periods", { retryPeriodMs: 10_000 / 1.2 }],
  ["no retry period", { retryPeriodMs: 0 }],
])("%s is refused", (_, options) => {
  const { world, server } = election;
  const client = { request: (request: never) => Promise.resolve(server.handle(request) as never) };
  const all = { namespace: "security", name: "operator", identity: "a", ...DEFAULTS, ...options };
  expect(() => new LeaderElector(all, client, world, silentLogger)).toThrow("broken invariant");
});
