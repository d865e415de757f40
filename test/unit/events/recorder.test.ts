// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The recorder on a fake clock, against the in-memory twin of the API server. Every test ends with the books: whatever
// was recorded is told, pending, suppressed or lost, and never twice.

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EventResult, Occurrence } from "../../../src/events/event.ts";
import { type RecorderOptions, type RunningRecorder, startRecorder } from "../../../src/events/recorder.ts";
import { silentLogger } from "../../../src/telemetry/log.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { MemoryEventSink } from "./memory-event-sink.ts";

let clock: FakeClock;
let sink: MemoryEventSink;
let recorder: RunningRecorder;
let warnings: object[];

beforeEach(() => {
  clock = new FakeClock();
  sink = new MemoryEventSink();
  sink.uids.set("shop/web-0", "u0");
  warnings = [];
  start({});
});

afterEach(async () => {
  expectBalance(recorder);
  const stopped = recorder.stop(0);
  await clock.advance(0);
  await stopped;
  expectBalance(recorder);
  expect(recorder.stats().pending).toBe(0);
});

function start(options: RecorderOptions): void {
  const logger = { ...silentLogger, warn: (fields: object) => warnings.push(fields) };
  recorder = startRecorder(options, sink, clock, logger);
}

function expectBalance(of: RunningRecorder): void {
  const { recorded, told, pending, suppressed, lost } = of.stats();
  const sum = (counts: Record<string, number>) => Object.values(counts).reduce((a, b) => a + b, 0);
  expect(told + pending + sum(suppressed) + sum(lost)).toBe(recorded);
}

function occurrence(changes: Partial<Occurrence> = {}): Occurrence {
  const nowUs = clock.nowMs() * 1000;
  return {
    regarding: { kind: "Pod", namespace: "shop", name: "web-0" },
    related: { kind: "PolicyViolationReport", namespace: "shop", name: "p", uid: "r" },
    policy: "p",
    operation: "Process",
    action: "Block",
    outcome: "Prevented",
    note: "n",
    count: 1,
    firstUs: nowUs,
    lastUs: nowUs,
    ...changes,
  };
}

function record(changes: Partial<Occurrence> = {}): void {
  recorder.record(occurrence(changes));
}

/** The counts that a person would read, in the order of creation. */
function counts(): number[] {
  return [...sink.events.values()].map(({ count }) => count);
}

describe("a series", () => {
  test("is one Event, whose count follows at 2, at powers of ten and once a minute", async () => {
    const seen: [total: number, shown: number, patches: number][] = [];
    for (let total = 1; total <= 120; total++) {
      record();
      await clock.advance(0);
      seen.push([total, counts()[0] ?? 0, sink.calls.patch]);
    }
    const steps = seen.filter((step, i) => i === 0 || step[1] !== seen[i - 1]?.[1]);
    expect(steps).toEqual([
      [1, 1, 0],
      [2, 2, 1],
      [10, 10, 2],
      [100, 100, 3],
    ]);
    expect(recorder.stats()).toMatchObject({ pending: 20, sent: { created: 1, patched: 3 } });
    await clock.advance(59_000);
    expect(counts()).toEqual([100]);
    await clock.advance(2000);
    expect(counts()).toEqual([120]);
    expect(recorder.stats()).toMatchObject({ told: 120, pending: 0 });
  });

  test("of many occurrences at once is one request", async () => {
    record({ count: 1_000_000 });
    await clock.advance(0);
    expect(counts()).toEqual([1_000_000]);
    expect(sink.calls).toEqual({ uid: 1, create: 1, patch: 0 });
  });

  test("that nothing is added to costs no request", async () => {
    record({ count: 5 });
    await clock.advance(300_000);
    expect(sink.calls).toEqual({ uid: 1, create: 1, patch: 0 });
  });

  test("at a steady pace costs one patch a minute", async () => {
    record({ count: 2000 });
    for (let i = 0; i < 600; i++) {
      record();
      await clock.advance(1000);
    }
    expect(sink.calls.create).toBe(1);
    // Ten minutes, and at most one tick of a second late each time.
    expect(sink.calls.patch).toBeGreaterThanOrEqual(9);
    expect(sink.calls.patch).toBeLessThanOrEqual(10);
  });

  test("ends after six minutes of silence: what comes then is a new Event", async () => {
    record();
    await clock.advance(361_000);
    expect(recorder.stats().series).toBe(0);
    expect(clock.pending).toBe(0);
    record();
    await clock.advance(0);
    expect(counts()).toEqual([1, 1]);
  });

  test("whose Event was deleted is told anew, in full", async () => {
    record({ count: 3 });
    await clock.advance(0);
    sink.events.clear();
    record({ count: 10 });
    await clock.advance(0);
    expect(counts()).toEqual([13]);
    expect(recorder.stats()).toMatchObject({ told: 13, sent: { created: 2, patched: 0 } });
  });

  test("of a pod that was replaced under its name goes on with the new pod's uid and its own count", async () => {
    record({ count: 50 });
    await clock.advance(30_000);
    sink.uids.set("shop/web-0", "u1");
    record({ count: 3 });
    await clock.advance(60_000);
    const [before, after] = [...sink.events.values()];
    expect([before?.regarding.uid, before?.count]).toEqual(["u0", 50]);
    expect([after?.regarding.uid, after?.count]).toEqual(["u1", 3]);
    expect(recorder.stats().told).toBe(53);
  });

  test("with another outcome is another one", async () => {
    record();
    record({ outcome: "Allowed", action: "Audit" });
    await clock.advance(0);
    expect([...sink.events.values()].map(({ reason, action }) => [reason, action])).toEqual([
      ["PolicyViolationPrevented", "BlockProcess"],
      ["PolicyViolationAllowed", "AuditProcess"],
    ]);
  });
});

describe("who hears nothing", () => {
  test("the default posture, unless it was asked for", async () => {
    record({ policy: "DefaultPosture", count: 7 });
    await clock.advance(0);
    expect(sink.calls).toEqual({ uid: 0, create: 0, patch: 0 });
    expect(recorder.stats().suppressed.default_posture).toBe(7);
    start({ defaultPosture: true });
    record({ policy: "DefaultPosture" });
    await clock.advance(0);
    expect(counts()).toEqual([1]);
  });

  test("a pod with more new series than its share, until time has passed", async () => {
    for (let i = 0; i < 30; i++) record({ policy: `p${i}` });
    await clock.advance(5000);
    expect(sink.events.size).toBe(25);
    expect(recorder.stats().suppressed.rate_limited).toBe(5);
    // Another pod has a share of its own, and the series that exist go on.
    sink.uids.set("shop/web-1", "u1");
    record({ regarding: { kind: "Pod", namespace: "shop", name: "web-1" } });
    record({ policy: "p0" });
    await clock.advance(25_000);
    expect(sink.events.size).toBe(26);
    expect(counts()[0]).toBe(2);
    record({ policy: "p29" });
    await clock.advance(0);
    expect(sink.events.size).toBe(27);
  });

  test("a pod with more new series than its share, also when an Event must be created anew", async () => {
    for (let i = 0; i < 25; i++) record({ policy: `p${i}` });
    await clock.advance(0);
    sink.events.clear();
    record({ policy: "p0", count: 6 });
    await clock.advance(0);
    expect(sink.events.size).toBe(0);
    expect(recorder.stats()).toMatchObject({ series: 24, suppressed: { rate_limited: 6 } });
  });

  test("a pod that is gone: its occurrences are lost without more requests", async () => {
    const gone = { kind: "Pod", namespace: "shop", name: "gone" } as const;
    record({ regarding: gone });
    await clock.advance(0);
    for (let i = 0; i < 50; i++) record({ regarding: gone });
    await clock.advance(9000);
    expect(sink.calls).toEqual({ uid: 1, create: 0, patch: 0 });
    expect(recorder.stats()).toMatchObject({ lost: { pod_gone: 51 }, series: 0 });
    // The answer may have been too early: a while later it is asked again.
    sink.uids.set("shop/gone", "u9");
    await clock.advance(2000);
    record({ regarding: gone });
    await clock.advance(0);
    expect(counts()).toEqual([1]);
  });

  test("a namespace that is being deleted: nothing is tried again", async () => {
    sink.fault = (call) => (call === "create" ? { kind: "namespace_gone" } : undefined);
    record({ count: 4 });
    await clock.advance(60_000);
    expect(sink.calls).toEqual({ uid: 1, create: 1, patch: 0 });
    expect(recorder.stats().lost.pod_gone).toBe(4);
  });
});

describe("pace", () => {
  test("all pods together get a burst of 50, then ten a second", async () => {
    for (let i = 0; i < 100; i++) {
      sink.uids.set(`shop/pod-${i}`, `u${i}`);
      record({ regarding: { kind: "Pod", namespace: "shop", name: `pod-${i}` } });
    }
    await clock.advance(0);
    expect(sink.calls.create).toBe(50);
    expect(recorder.stats().queued).toBe(50);
    await clock.advance(1000);
    expect(sink.calls.create).toBe(60);
    await clock.advance(4000);
    expect(sink.calls.create).toBe(100);
  });

  test("a full queue loses what is new, and says so", async () => {
    start({ maxQueued: 10, overall: { perSecond: 1, burst: 1 } });
    for (let i = 0; i < 20; i++) {
      sink.uids.set(`shop/pod-${i}`, `u${i}`);
      record({ regarding: { kind: "Pod", namespace: "shop", name: `pod-${i}` }, count: 3 });
    }
    // One is on its way and ten wait.
    expect(recorder.stats()).toMatchObject({ queued: 10, lost: { queue_full: 27 } });
    await clock.advance(20_000);
    expect(sink.events.size).toBe(11);
  });

  test("beyond the number of series that are kept the most silent one goes", async () => {
    start({ maxSeries: 3 });
    for (const policy of ["a", "b", "c"]) record({ policy, count: 2 });
    await clock.advance(0);
    record({ policy: "a" });
    record({ policy: "b" });
    record({ policy: "d" });
    await clock.advance(0);
    expect(recorder.stats()).toMatchObject({ series: 3, lost: { evicted: 0 } });
    record({ policy: "e" });
    // "a" had one untold occurrence.
    expect(recorder.stats()).toMatchObject({ series: 3, lost: { evicted: 1 } });
  });

  test("but never one whose request is under way", async () => {
    start({ maxSeries: 1 });
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    record({ policy: "a" });
    record({ policy: "b" });
    gate.resolve();
    await clock.advance(0);
    expect(counts()).toEqual([1, 1]);
    expect(recorder.stats()).toMatchObject({ told: 2, lost: { evicted: 0 } });
  });

  test("recording never waits for the API server", async () => {
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    for (let i = 0; i < 10_000; i++) record();
    await clock.advance(3_600_000);
    expect(sink.calls).toEqual({ uid: 1, create: 0, patch: 0 });
    expect(recorder.stats()).toMatchObject({ pending: 10_000, series: 1 });
    gate.resolve();
    await clock.advance(0);
    expect(counts()).toEqual([10_000]);
  });
});

describe("failures", () => {
  const retry: EventResult = { kind: "retry", message: "busy" };

  test.each(["uid", "create"] as const)("of %s are tried again, five times in all", async (failing) => {
    sink.fault = (call) => (call === failing ? retry : undefined);
    record();
    await clock.advance(60_000);
    expect(sink.calls[failing]).toBe(5);
    expect(recorder.stats()).toMatchObject({ lost: { retries_exhausted: 1 }, retries: 4, series: 0 });
    expect(warnings).toEqual([{ regarding: "Pod web-0", error: "busy" }]);
  });

  test("that end leave no trace but the number of retries", async () => {
    let failures = 3;
    sink.fault = () => (failures-- > 0 ? retry : undefined);
    record();
    await clock.advance(30_000);
    expect(counts()).toEqual([1]);
    expect(recorder.stats()).toMatchObject({ told: 1, retries: 3, lost: { retries_exhausted: 0 } });
  });

  test("are counted anew for each request", async () => {
    let failures = 4;
    sink.fault = (call) => (call !== "uid" && failures-- > 0 ? retry : undefined);
    record();
    await clock.advance(30_000);
    failures = 4;
    record();
    await clock.advance(30_000);
    expect(counts()).toEqual([2]);
    expect(recorder.stats()).toMatchObject({ retries: 8, lost: { retries_exhausted: 0 } });
  });

  test("wait longer each time", async () => {
    const times: number[] = [];
    sink.fault = (call) => {
      if (call === "create") times.push(clock.nowMs());
      return call === "create" ? retry : undefined;
    };
    record();
    await clock.advance(60_000);
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    // Half to all of 1, 2, 4 and 8 s, and up to the second of the next look.
    gaps.forEach((gap, i) => {
      expect(gap).toBeGreaterThanOrEqual(500 * 2 ** i);
      expect(gap).toBeLessThanOrEqual(1000 * 2 ** i + 1000);
    });
    expect(gaps).toHaveLength(4);
  });

  test("with a Retry-After hold back all, for a minute at most", async () => {
    let throttled = true;
    sink.fault = (call) =>
      throttled && call === "create" ? { kind: "retry", message: "429", retryAfterMs: 3_600_000 } : undefined;
    record();
    await clock.advance(0);
    throttled = false;
    record({ policy: "q" });
    await clock.advance(59_000);
    expect(sink.calls.create).toBe(1);
    await clock.advance(2000);
    expect(counts()).toEqual([1, 1]);
  });

  test("whose answer was lost make no second Event and no wrong count", async () => {
    let lost = true;
    sink.fault = (call) => (lost && call === "create" ? "lost" : undefined);
    record({ count: 2 });
    await clock.advance(0);
    lost = false;
    record({ count: 3 });
    await clock.advance(5000);
    // The try that went through carried 2; the 3 that came later follow with the next word, in a minute.
    expect(counts()).toEqual([2]);
    expect(recorder.stats()).toMatchObject({ told: 2, pending: 3 });
    await clock.advance(61_000);
    expect(counts()).toEqual([5]);
  });

  test("by refusal are told to a person once a minute, and not tried again for a while", async () => {
    sink.fault = (call) => (call === "create" ? { kind: "refused", message: "forbidden" } : undefined);
    for (let i = 0; i < 5; i++) {
      record({ policy: `p${i}` });
      record({ policy: `p${i}` });
      await clock.advance(1000);
    }
    expect(sink.calls.create).toBe(5);
    expect(recorder.stats().lost.refused).toBe(10);
    expect(warnings).toEqual([{ regarding: "Pod web-0", error: "forbidden" }]);
    await clock.advance(60_000);
    record({ policy: "p0" });
    await clock.advance(0);
    expect(sink.calls.create).toBe(6);
    expect(warnings).toHaveLength(2);
  });

  test("of the sink's own making are refusals", async () => {
    sink.fault = () => {
      throw new Error("bug");
    };
    record();
    await clock.advance(0);
    expect(recorder.stats().lost.refused).toBe(1);
  });
});

describe("stop", () => {
  test("tells what is untold, though its minute is not up", async () => {
    record({ count: 3 });
    await clock.advance(0);
    record({ count: 4 });
    const stopped = recorder.stop(5000);
    await clock.advance(0);
    await stopped;
    expect(counts()).toEqual([7]);
    expect(recorder.stats()).toMatchObject({ told: 7, pending: 0, series: 0, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  test("waits no longer than it may, and counts the rest as lost, once", async () => {
    const gate = Promise.withResolvers<void>();
    sink.gate = gate.promise;
    record({ count: 3 });
    record({ policy: "q" });
    const stopped = recorder.stop(5000);
    record({ count: 2 });
    await clock.advance(4999);
    expect(recorder.stats()).toMatchObject({ pending: 4, lost: { stopped: 2 } });
    await clock.advance(1);
    await stopped;
    expect(recorder.stats()).toMatchObject({ told: 0, pending: 0, lost: { stopped: 6 } });
    gate.resolve();
    await clock.advance(60_000);
    expect(recorder.stats()).toMatchObject({ told: 0, lost: { stopped: 6 } });
    expect(clock.pending).toBe(0);
  });

  test("waits for a retry that can still succeed", async () => {
    let failures = 1;
    sink.fault = (call) =>
      call === "create" && failures-- > 0 ? { kind: "retry", message: "busy" } : undefined;
    record();
    await clock.advance(0);
    const stopped = recorder.stop(10_000);
    await clock.advance(3000);
    await stopped;
    expect(recorder.stats().told).toBe(1);
  });

  test("with nothing to tell ends at once, also when it is called twice", async () => {
    const stopped = recorder.stop(60_000);
    expect(recorder.stop(60_000)).toBe(stopped);
    await stopped;
    record();
    expect(recorder.stats().lost.stopped).toBe(1);
  });
});

test("odd counts are one", () => {
  for (const count of [0, -5, Number.NaN, 0.5]) record({ count });
  expect(recorder.stats().recorded).toBe(4);
});

// Any mix of pods, series, faults and waiting: the books balance, the shown counts are what was told, and after enough
// quiet without faults nothing is pending.
test("whatever happens, the books balance", async () => {
  const results = fc.constantFrom<(EventResult | "lost" | undefined)[]>(
    undefined,
    undefined,
    undefined,
    "lost",
    { kind: "retry", message: "m" },
    { kind: "retry", message: "m", retryAfterMs: 2000 },
    { kind: "refused", message: "m" },
    { kind: "namespace_gone" },
  );
  const step = fc.oneof(
    fc.record({ pod: fc.nat(3), policy: fc.nat(8), count: fc.integer({ min: 1, max: 20 }) }),
    fc.record({ waitMs: fc.constantFrom(0, 10, 500, 3000, 61_000) }),
    fc.record({ replacePod: fc.nat(2) }),
    fc.record({ deleteEvents: fc.constant(true) }),
  );
  const run = fc.asyncProperty(
    fc.array(step, { maxLength: 60 }),
    fc.array(results, { maxLength: 40 }),
    async (steps, faults) => {
      const ownClock = new FakeClock();
      const own = new MemoryEventSink();
      let uids = 0;
      // Pod 3 does not exist.
      for (const pod of [0, 1, 2]) own.uids.set(`shop/web-${pod}`, `u${uids++}`);
      let call = 0;
      own.fault = () => faults[call++];
      const options = { maxSeries: 6, maxQueued: 3, perRegarding: { perSecond: 0.1, burst: 4 } };
      const tested = startRecorder(options, own, ownClock, silentLogger);
      let deletedCounts = 0;
      for (const one of steps) {
        if ("waitMs" in one) await ownClock.advance(one.waitMs);
        else if ("replacePod" in one) own.uids.set(`shop/web-${one.replacePod}`, `u${uids++}`);
        else if ("deleteEvents" in one) {
          for (const { count } of own.events.values()) deletedCounts += count;
          own.events.clear();
        } else {
          const nowUs = ownClock.nowMs() * 1000;
          tested.record({
            ...occurrence({ policy: `p${one.policy}`, count: one.count, firstUs: nowUs, lastUs: nowUs }),
            regarding: { kind: "Pod", namespace: "shop", name: `web-${one.pod}` },
          });
        }
        expectBalance(tested);
        expect(tested.stats().series).toBeLessThanOrEqual(6);
      }
      own.fault = () => undefined;
      await ownClock.advance(130_000);
      expect(tested.stats().pending).toBe(0);
      const shown = [...own.events.values()].reduce((sum, { count }) => sum + count, 0);
      // Events that were carried out though the answer was lost, and those told anew in full, only ever show more.
      expect(shown + deletedCounts).toBeGreaterThanOrEqual(tested.stats().told);
      await ownClock.advance(400_000);
      expect(tested.stats().series).toBe(0);
      expect(ownClock.pending).toBe(0);
      const stopped = tested.stop(0);
      await ownClock.advance(0);
      await stopped;
      expectBalance(tested);
    },
  );
  await fc.assert(run, { numRuns: 60 });
});
