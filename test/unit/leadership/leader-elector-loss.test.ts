// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Ends of leading: by an outage, by a process or a clock that misbehaves, by release; and their log.

import { beforeEach, describe, expect, test } from "vitest";
import { ApiError } from "../../../src/kube/api-error.ts";
import { Election } from "./election.ts";

let election: Election;

beforeEach(() => {
  election = new Election();
});

const unavailable = new ApiError("Unavailable", "GET https://10.0.0.1: ECONNREFUSED");

describe("a leader that can't renew", () => {
  test.each([
    ["refuses", { error: unavailable }, "GET https://10.0.0.1: ECONNREFUSED"],
    ["loses every request", { lost: "request" }, "no answer in time"],
    ["answers too late", { answerMs: 30_000 }, "no answer in time"],
  ] as const)("is informed before its lease is over, when the server %s", async (_, weather, problem) => {
    const a = await election.createLeader("a");
    await election.world.advance(4000);
    expect(election.record).toMatchObject({ renewTime: "2026-11-23T10:00:04.004000Z" });
    a.connection.weather = () => weather;
    await election.world.advance(9993);
    expect([a.elector.isLeader, a.lostAtMs]).toEqual([true, []]);
    await election.world.advance(1);
    expect(a.elector.isLeader).toBe(false);
    expect(a.lostAtMs.map((ms) => ms - election.startMs)).toEqual([14_004]);
    expect(a.terms[0]?.reason).toBe(`the Lease security/operator was not renewed for 10 s: ${problem}`);
    for (const { request } of a.connection.requests) expect(request.timeoutMs).toBeLessThanOrEqual(5000);
    // It does nothing more by itself.
    const { length } = a.connection.requests;
    await election.world.advance(60_000);
    expect([a.connection.requests.length, election.world.pending]).toEqual([length, 0]);
  });

  test("counts from before the renewal was sent, however late its answer came", async () => {
    const a = await election.createLeader("a");
    // The first renewal is sent at 2.004 and answered at 6.905; none after it succeeds.
    a.connection.weather = () => (election.nowMs < 3000 ? { answerMs: 4900 } : { error: unavailable });
    await election.world.advance(30_000);
    expect(a.lostAtMs.map((ms) => ms - election.startMs)).toEqual([12_004]);
  });

  test("leads again when the server is back and no other replica took the Lease, in the same term", async () => {
    const a = await election.createLeader("a");
    a.connection.weather = () => ({ error: unavailable });
    await election.world.advance(11_000);
    expect(a.elector.isLeader).toBe(false);
    void a.run();
    await election.world.advance(10_000);
    a.connection.weather = () => ({});
    await election.world.advance(4000);
    expect(a.terms.map((term) => term.aborted)).toEqual([true, false]);
    expect(election.record).toMatchObject({
      holderIdentity: "a",
      acquireTime: "2026-11-23T10:00:00.002500Z",
      leaseTransitions: 0,
    });
  });

  test("hands over to a candidate that sees no sign of life", async () => {
    const a = await election.createLeader("a");
    const b = election.startCandidate("b");
    await election.world.advance(1000);
    a.connection.weather = () => ({ error: unavailable });
    // b tries as soon as the Lease was not renewed for 15 s.
    await election.world.advance(13_900);
    expect([a.elector.isLeader, b.elector.isLeader]).toEqual([false, false]);
    await election.world.advance(200);
    expect([a.elector.isLeader, b.elector.isLeader]).toEqual([false, true]);
    expect(election.record).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });
});

describe("a leader that was stalled", () => {
  test.each(["timer", "answer"] as const)(
    "longer than its lease knows by its clock alone that it leads no more, if %ss come first",
    async (first) => {
      const a = await election.createLeader("a");
      await election.world.advance(1000);
      // A renewal is under way: sent at 2.004, carried out, and its answer is there when the process goes on.
      a.connection.weather = () => ({ requestMs: 500, answerMs: 500 });
      await election.world.advance(1400);
      a.process.freeze();
      await election.world.advance(60_000);
      expect(a.elector.isLeader).toBe(false);
      expect(a.lostAtMs).toEqual([]);
      await a.process.thaw(first);
      await election.world.advance(0);
      expect(a.elector.isLeader).toBe(false);
      expect(a.terms[0]?.reason).toBe(
        "the Lease security/operator was not renewed for 10 s: this process was stalled, or its clock was set",
      );
      expect(a.connection.requests).toHaveLength(3);
      await election.world.advance(60_000);
      expect([a.connection.requests.length, election.world.pending]).toEqual([3, 0]);
    },
  );

  test("by a jump of the clock alone sends nothing more, though no timer has rung yet", async () => {
    const a = await election.createLeader("a");
    await election.world.advance(1900);
    a.process.skewMs = 15_000;
    expect(a.elector.isLeader).toBe(false);
    await election.world.advance(200);
    // The renewal was due at 2.004; its loop found the lapse first.
    expect(a.connection.requests).toHaveLength(2);
    expect(a.lostAtMs.map((ms) => ms - election.startMs)).toEqual([2004]);
  });

  test("for a moment too long does not lead again by an answer that was on its way", async () => {
    const a = await election.createLeader("a");
    // The first renewal is lost. The second is sent at 7.006, and answered at 9.907 while the process stands still.
    a.connection.weather = ({ method }) => {
      if (election.nowMs < 7000) return { lost: "request" };
      return method === "PUT" ? { answerMs: 2900 } : {};
    };
    await election.world.advance(9500);
    a.process.freeze();
    await election.world.advance(1000);
    await a.process.thaw("answer");
    await election.world.advance(0);
    expect([a.elector.isLeader, a.lostAtMs.length]).toEqual([false, 1]);
    expect(election.world.pending).toBe(0);
  });

  test("is a leader no more when the claim itself is answered too late", async () => {
    const a = election.startCandidate("a");
    a.connection.weather = ({ method }) => (method === "POST" ? { answerMs: 100 } : {});
    await election.world.advance(50);
    a.process.freeze();
    await election.world.advance(60_000);
    await a.process.thaw("answer");
    await election.world.advance(0);
    expect([a.elector.isLeader, a.terms.length]).toEqual([false, 0]);
    await election.world.advance(4000);
    expect([a.elector.isLeader, a.terms.length]).toEqual([true, 1]);
  });
});

test("a clock that is set back does not make leadership last", async () => {
  const a = await election.createLeader("a");
  await election.world.advance(1000);
  a.process.skewMs = -3_600_000;
  a.connection.weather = () => ({ error: unavailable });
  await election.world.advance(30_000);
  expect(a.lostAtMs.map((ms) => ms - election.startMs)).toEqual([10_002]);
  expect(a.elector.isLeader).toBe(false);
});

test("a clock that is set back during a renewal does not put off the next", async () => {
  const a = await election.createLeader("a");
  a.connection.weather = () => ({ answerMs: 500 });
  await election.world.advance(2100);
  a.process.skewMs = -3_600_000;
  await election.world.advance(60_000);
  expect([a.elector.isLeader, a.lostAtMs]).toEqual([true, []]);
});

describe("release", () => {
  test("ends leadership at once and hands over at the next try of another", async () => {
    const a = await election.createLeader("a");
    const b = election.startCandidate("b");
    await election.world.advance(3300);
    const released = a.elector.release();
    expect(a.elector.isLeader).toBe(false);
    expect(a.terms[0]?.reason).toBe("the Lease security/operator is being released");
    await election.world.advance(2);
    await released;
    expect(election.server.lease?.spec).toEqual({
      holderIdentity: "",
      leaseDurationSeconds: 1,
      acquireTime: "2026-11-23T10:00:03.310000Z",
      renewTime: "2026-11-23T10:00:03.310000Z",
      leaseTransitions: 0,
    });
    await election.world.advance(3200);
    expect(b.elector.isLeader).toBe(true);
    expect(election.record).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
    expect(a.elector.release()).toBe(released);
    await a.run();
    expect(a.gaveUp).toBe(1);
    expect(a.logged.at(-1)).toMatchObject({ level: "info" });
    expect(a.logged.at(-1)?.fields).toEqual({ lease: "security/operator" });
  });

  test("frees the Lease while a renewal is in flight, and leaves no timer", async () => {
    const a = await election.createLeader("a");
    a.connection.weather = ({ body }) => (body ? { requestMs: 300 } : {});
    await election.world.advance(2100);
    await Promise.all([a.elector.release(), election.world.advance(2000)]);
    // The version read is that before the renewal, which then comes between: so it is read again.
    expect(election.server.methods.slice(2)).toEqual(["GET", "PUT", "PUT", "GET", "PUT"]);
    expect(election.record).toMatchObject({ holderIdentity: "" });
    expect(election.world.pending).toBe(0);
  });

  test("frees what an unheard claim may have taken", async () => {
    const a = election.createCandidate("a");
    a.connection.weather = ({ method }) => (method === "POST" ? { lost: "answer" } : {});
    void a.run();
    await election.world.advance(1000);
    expect(election.record).toMatchObject({ holderIdentity: "a" });
    await Promise.all([a.elector.release(), election.world.advance(10)]);
    expect(a.gaveUp).toBe(1);
    expect(election.record).toMatchObject({ holderIdentity: "" });
    expect(election.world.pending).toBe(0);
  });

  test("frees what it may still hold after an outage, and nothing that another has taken", async () => {
    const a = await election.createLeader("a");
    const b = await election.createCandidate("b");
    a.connection.weather = () => ({ error: unavailable });
    await election.world.advance(12_000);
    expect(a.lostAtMs).toHaveLength(1);
    a.connection.weather = () => ({});
    await Promise.all([a.elector.release(), election.world.advance(10)]);
    expect(election.record).toMatchObject({ holderIdentity: "" });

    void b.run();
    await election.world.advance(10);
    b.connection.weather = () => ({ error: unavailable });
    const lease = election.server.lease;
    if (lease === undefined) throw new Error("there is a Lease");
    election.server.set({ ...lease, spec: { ...lease.spec, holderIdentity: "z" } });
    await election.world.advance(12_000);
    b.connection.weather = () => ({});
    void b.elector.release();
    await election.world.advance(10);
    expect(election.record).toMatchObject({ holderIdentity: "z" });
    expect(election.world.pending).toBe(0);
  });

  test.each([
    ["refuses", { error: unavailable }, 1],
    ["does not answer", { lost: "request" }, 5000],
  ] as const)("ends in time when the server %s, and leaves no timer", async (_, weather, tookMs) => {
    const a = await election.createLeader("a");
    a.connection.weather = () => ({ requestMs: 0, ...weather });
    let isReleased = false;
    const released = a.elector.release().then(() => {
      isReleased = true;
    });
    await election.world.advance(tookMs - 1);
    expect(isReleased).toBe(false);
    await election.world.advance(1);
    await released;
    expect(a.logged.at(-1)).toMatchObject({ level: "warn", fields: { answer: expect.any(String) } });
    expect(election.world.pending).toBe(0);
  });

  test("does nothing where nothing was ever asked", async () => {
    const a = election.createCandidate("a");
    await a.elector.release();
    expect([election.server.methods, election.world.pending]).toEqual([[], 0]);
  });

  test("wins over an acquire that is answered at that moment", async () => {
    const a = election.createCandidate("a");
    // As when the answer is in, and the program has not come to it yet.
    const { request } = a.connection;
    a.connection.request = (asked) => request.call(a.connection, { ...asked, signal: undefined }) as never;
    void a.run();
    await election.world.advance(3);
    await Promise.all([a.elector.release(), election.world.advance(10)]);
    expect([a.elector.isLeader, a.terms.length, a.gaveUp]).toEqual([false, 0, 1]);
    expect(election.record).toMatchObject({ holderIdentity: "" });
    expect(election.world.pending).toBe(0);
  });
});

describe("trouble", () => {
  test("is reported once until it is over, with what to do", async () => {
    const a = election.createCandidate("a");
    const forbidden = new ApiError("Forbidden", "GET leases: forbidden");
    a.connection.weather = () => ({ error: forbidden });
    void a.run();
    await election.world.advance(60_000);
    const advice =
      "a Role in namespace security must allow this ServiceAccount to create leases and to get and update the lease " +
      "operator (API group coordination.k8s.io), as the chart's Role does; or run with --no-leader-elect";
    expect(a.elector.problem).toBe(`GET leases: forbidden; ${advice}`);
    const problem = { lease: "security/operator", answer: "GET leases: forbidden", advice };
    expect(a.logged.map(({ level, fields }) => [level, fields])).toEqual([["error", problem]]);
    a.connection.weather = () => ({});
    await election.world.advance(4000);
    expect(a.elector.problem).toBeUndefined();
    const isHeld = { lease: "security/operator", holder: "a" };
    expect(a.logged.slice(1).map(({ fields }) => fields)).toEqual([{ lease: "security/operator" }, isHeld]);
    a.connection.weather = () => ({ error: forbidden });
    await election.world.advance(5000);
    expect(a.logged.slice(3).map(({ level, fields }) => [level, fields])).toEqual([["error", problem]]);
  });

  test("with the namespace names the three ways out", async () => {
    const a = election.createCandidate("a");
    const error = new ApiError("NamespaceGone", 'namespaces "security" not found');
    a.connection.weather = ({ method }) => (method === "POST" ? { error } : {});
    void a.run();
    await election.world.advance(10);
    expect(a.elector.problem).toBe(
      'namespaces "security" not found; namespace security does not exist or is being deleted: create it, or set ' +
        "leaderElection.leaseNamespace, or run with --no-leader-elect",
    );
  });

  test("is not what two candidates have who ask at the same time", async () => {
    const [a, b] = [election.createCandidate("a"), election.createCandidate("b")];
    void a.run();
    void b.run();
    await election.world.advance(30_000);
    expect(election.server.methods.slice(0, 4)).toEqual(["GET", "GET", "POST", "POST"]);
    expect([a.elector.isLeader, b.elector.isLeader]).toEqual([true, false]);
    expect(b.logged.map(({ fields }) => fields)).toEqual([{ lease: "security/operator", holder: "a" }]);
    expect([b.elector.problem, b.elector.holder]).toEqual([undefined, "a"]);
  });

  test("is a Lease that is stored otherwise than it was sent", async () => {
    const a = election.createCandidate("a");
    const handle = election.server.handle.bind(election.server);
    election.server.handle = (request) => {
      const lease = handle(request);
      return { ...lease, spec: { ...lease.spec, acquireTime: "2026-11-23T10:00:00Z" } };
    };
    void a.run();
    await election.world.advance(10);
    expect(a.elector.isLeader).toBe(false);
    expect(a.elector.problem).toBe("the API server stored another Lease than was sent; does a webhook change it?");
  });

  test("that is not a Lease is reported as such", async () => {
    const a = election.createCandidate("a");
    election.server.handle = () => ({ kind: "Surprise" }) as never;
    void a.run();
    await election.world.advance(10);
    expect(a.elector.problem).toBe("the answer is not a Lease: is this address a Kubernetes API server?");
    expect(a.elector.isLeader).toBe(false);
  });
});
