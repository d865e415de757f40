// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Events and their times: series, suppression, and the pace.

import { describe, expect, test } from "vitest";
import { setUpRecorder } from "./recorder-bench.ts";

const t = setUpRecorder();

describe("a series", () => {
  test("is one Event with a count that follows at 2, at powers of ten and once a minute", async () => {
    const seen: [total: number, shown: number, patches: number][] = [];
    for (let total = 1; total <= 120; total++) {
      await t.send();
      seen.push([total, t.counts()[0] ?? 0, t.sink.calls.patch]);
    }
    const steps = seen.filter((step, i) => i === 0 || step[1] !== seen[i - 1]?.[1]);
    expect(steps).toEqual([
      [1, 1, 0],
      [2, 2, 1],
      [10, 10, 2],
      [100, 100, 3],
    ]);
    expect(t.recorder.stats()).toMatchObject({ pending: 20, sent: { created: 1, patched: 3 } });
    await t.clock.advance(59_000);
    expect(t.counts()).toEqual([100]);
    await t.clock.advance(2000);
    expect(t.counts()).toEqual([120]);
    expect(t.recorder.stats()).toMatchObject({ reported: 120, pending: 0 });
  });

  test("that nothing is added to costs no request", async () => {
    t.record({ count: 5 });
    await t.clock.advance(300_000);
    expect(t.sink.calls).toEqual({ uid: 1, create: 1, patch: 0 });
  });

  test("at a steady pace costs one patch a minute", async () => {
    t.record({ count: 2000 });
    for (let i = 0; i < 600; i++) {
      t.record();
      await t.clock.advance(1000);
    }
    expect(t.sink.calls.create).toBe(1);
    // Ten minutes, and at most one tick of a second late each time.
    expect(t.sink.calls.patch).toBeGreaterThanOrEqual(9);
    expect(t.sink.calls.patch).toBeLessThanOrEqual(10);
  });

  test("ends after six minutes of silence: what comes then is a new Event", async () => {
    t.record();
    await t.clock.advance(361_000);
    expect(t.recorder.stats().series).toBe(0);
    expect(t.clock.pending).toBe(0);
    await t.send();
    expect(t.counts()).toEqual([1, 1]);
  });

  test("with a deleted Event is created again, in full", async () => {
    await t.send({ count: 3 });
    t.sink.events.clear();
    await t.send({ count: 10 });
    expect(t.counts()).toEqual([13]);
    expect(t.recorder.stats()).toMatchObject({ reported: 13, sent: { created: 2, patched: 0 } });
  });

  test("of a pod that was replaced under its name goes on with the new pod's uid and its own count", async () => {
    t.record({ count: 50 });
    await t.clock.advance(30_000);
    t.sink.uids.set("shop/web-0", "u1");
    t.record({ count: 3 });
    await t.clock.advance(60_000);
    const [before, after] = [...t.sink.events.values()];
    expect([before?.regarding.uid, before?.count]).toEqual(["u0", 50]);
    expect([after?.regarding.uid, after?.count]).toEqual(["u1", 3]);
    expect(t.recorder.stats().reported).toBe(53);
  });
});

describe("who hears nothing", () => {
  test("the default posture, unless it was asked for", async () => {
    await t.send({ policy: "DefaultPosture", count: 7 });
    expect(t.sink.calls).toEqual({ uid: 0, create: 0, patch: 0 });
    expect(t.recorder.stats().suppressed.default_posture).toBe(7);
    t.start({ defaultPosture: true });
    await t.send({ policy: "DefaultPosture" });
    expect(t.counts()).toEqual([1]);
  });

  test("a pod with more new series than its share, until time has passed", async () => {
    for (let i = 0; i < 30; i++) t.record({ policy: `p${i}` });
    await t.clock.advance(5000);
    expect(t.sink.events.size).toBe(25);
    expect(t.recorder.stats().suppressed.rate_limited).toBe(5);
    // Another pod has a share of its own, and the series that exist go on.
    t.sink.uids.set("shop/web-1", "u1");
    t.record({ regarding: { kind: "Pod", namespace: "shop", name: "web-1" } });
    t.record({ policy: "p0" });
    await t.clock.advance(25_000);
    expect(t.sink.events.size).toBe(26);
    expect(t.counts()[0]).toBe(2);
    await t.send({ policy: "p29" });
    expect(t.sink.events.size).toBe(27);
  });

  test("a pod with more new series than its share, also when an Event must be created again", async () => {
    for (let i = 0; i < 25; i++) await t.send({ policy: `p${i}` });
    t.sink.events.clear();
    await t.send({ policy: "p0", count: 6 });
    expect(t.sink.events.size).toBe(0);
    expect(t.recorder.stats()).toMatchObject({ series: 24, suppressed: { rate_limited: 6 } });
  });

  test("a pod that is gone: its occurrences are lost without more requests", async () => {
    const gone = { kind: "Pod", namespace: "shop", name: "gone" } as const;
    await t.send({ regarding: gone });
    for (let i = 0; i < 50; i++) t.record({ regarding: gone });
    await t.clock.advance(9000);
    expect(t.sink.calls).toEqual({ uid: 1, create: 0, patch: 0 });
    expect(t.recorder.stats()).toMatchObject({ lost: { pod_gone: 51 }, series: 0 });
    // The answer may have been too early: a while later it is asked again.
    t.sink.uids.set("shop/gone", "u9");
    await t.clock.advance(2000);
    await t.send({ regarding: gone });
    expect(t.counts()).toEqual([1]);
  });

  test("a namespace that is being deleted: nothing is tried again", async () => {
    t.sink.fault = (call) => (call === "create" ? { kind: "namespace_gone" } : undefined);
    t.record({ count: 4 });
    await t.clock.advance(60_000);
    expect(t.sink.calls).toEqual({ uid: 1, create: 1, patch: 0 });
    expect(t.recorder.stats().lost.pod_gone).toBe(4);
  });
});

describe("pace", () => {
  test("all pods together get a burst of 50, then ten a second", async () => {
    for (let i = 0; i < 100; i++) {
      t.recordOn("shop", `pod-${i}`);
    }
    await t.clock.advance(0);
    expect(t.sink.calls.create).toBe(50);
    expect(t.recorder.stats().queued).toBe(50);
    await t.clock.advance(1000);
    expect(t.sink.calls.create).toBe(60);
    await t.clock.advance(4000);
    expect(t.sink.calls.create).toBe(100);
  });

  test("namespaces take turns: the flood of one does not delay the Event of another", async () => {
    t.start({ overall: { perSecond: 1, burst: 1 } });
    for (let i = 0; i < 500; i++) {
      t.recordOn("flood", `pod-${i}`);
    }
    t.recordOn("shop", "web");
    await t.clock.advance(2000);
    expect([...t.sink.events.values()].map((event) => event.namespace)).toContain("shop");
  });

  test("go on when the wall clock is set back, and sooner than a minute when it is set ahead", async () => {
    t.start({ overall: { perSecond: 1, burst: 1 } });
    for (const [n, step] of [-3_600_000, 7_200_000].entries()) {
      t.clock.stepWall(step);
      t.record({ policy: `p${n}` });
      await t.clock.advance(1000);
    }
    expect(t.sink.calls.create).toBe(2);
  });

  test("a queue that one namespace has filled gives way to the Events of another", async () => {
    t.start({ maxQueued: 20, overall: { perSecond: 1, burst: 1 } });
    const record = (namespace: string, i: number) => t.recordOn(namespace, `pod-${i}`);
    for (let i = 0; i < 100; i++) record("flood", i);
    await t.clock.advance(0);
    for (let i = 0; i < 4; i++) record("shop", i);
    for (let i = 0; i < 4; i++) record("bank", i);
    for (let i = 100; i < 200; i++) record("flood", i);
    await t.clock.advance(60_000);
    const events = [...t.sink.events.values()].map(({ namespace }) => namespace);
    const count = (namespace: string) => events.filter((each) => each === namespace).length;
    expect([count("shop"), count("bank")]).toEqual([4, 4]);
    expect(count("flood")).toBeGreaterThanOrEqual(20 - 8);
    const { recorded, reported, lost } = t.recorder.stats();
    expect(reported + lost.queue_full).toBe(recorded);
  });

  test("a full queue loses what is new, and says so", async () => {
    t.start({ maxQueued: 10, overall: { perSecond: 1, burst: 1 } });
    for (let i = 0; i < 20; i++) {
      t.sink.uids.set(`shop/pod-${i}`, `u${i}`);
      await t.send({ regarding: { kind: "Pod", namespace: "shop", name: `pod-${i}` }, count: 3 });
    }
    // One is on its way and ten wait.
    expect(t.recorder.stats()).toMatchObject({ queued: 10, lost: { queue_full: 27 } });
    await t.clock.advance(20_000);
    expect(t.sink.events.size).toBe(11);
  });

  test("beyond the number of series that are kept the most silent one goes", async () => {
    t.start({ maxSeries: 3 });
    for (const policy of ["a", "b", "c"]) await t.send({ policy, count: 2 });
    t.record({ policy: "a" });
    t.record({ policy: "b" });
    await t.send({ policy: "d" });
    expect(t.recorder.stats()).toMatchObject({ series: 3, lost: { evicted: 0 } });
    t.record({ policy: "e" });
    // "a" had one pending occurrence.
    expect(t.recorder.stats()).toMatchObject({ series: 3, lost: { evicted: 1 } });
  });

  test("of the namespace with the most, so that a flood in one ends no series of another", async () => {
    t.start({ maxSeries: 40, overall: { perSecond: 1000, burst: 1000 } });
    const record = (namespace: string, i: number) => t.recordOn(namespace, `pod-${i}`);
    for (let i = 0; i < 10; i++) record("shop", i);
    await t.clock.advance(1000);
    for (let i = 0; i < 500; i++) record("flood", i);
    await t.clock.advance(1000);
    for (let i = 0; i < 10; i++) record("shop", i);
    await t.clock.advance(1000);
    const shop = [...t.sink.events.values()].filter(({ namespace }) => namespace === "shop");
    expect(shop.map(({ count }) => count)).toEqual(Array(10).fill(2));
    expect(t.recorder.stats()).toMatchObject({ series: 40 });
  });

  test("but never one with a request in flight", async () => {
    t.start({ maxSeries: 1 });
    const gate = Promise.withResolvers<void>();
    t.sink.gate = gate.promise;
    await t.send({ policy: "a" });
    t.record({ policy: "b" });
    gate.resolve();
    await t.clock.advance(0);
    expect(t.counts()).toEqual([1, 1]);
    expect(t.recorder.stats()).toMatchObject({ reported: 2, lost: { evicted: 0 } });
  });

  test("recording never waits for the API server", async () => {
    const gate = Promise.withResolvers<void>();
    t.sink.gate = gate.promise;
    for (let i = 0; i < 10_000; i++) t.record();
    await t.clock.advance(3_600_000);
    expect(t.sink.calls).toEqual({ uid: 1, create: 0, patch: 0 });
    expect(t.recorder.stats()).toMatchObject({ pending: 10_000, series: 1 });
    gate.resolve();
    await t.clock.advance(0);
    expect(t.counts()).toEqual([10_000]);
  });
});

test("odd counts are one", () => {
  for (const count of [0, -5, Number.NaN, 0.5]) t.record({ count });
  expect(t.recorder.stats().recorded).toBe(4);
});
