// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The recorder under failures of the API server, and at the stop.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventResult } from "../../../src/events/event-recorder.ts";
import { Recorder } from "../../../src/events/recorder.ts";
import { silentLogger } from "../../../src/lib/logger.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { runs } from "../../support/gen.ts";
import { MemoryEventSink } from "./memory-event-sink.ts";
import { createUpdate, expectBalance, setUpRecorder } from "./recorder-bench.ts";

const t = setUpRecorder();

describe("failures", () => {
  const retry: EventResult = { kind: "retry", message: "busy" };

  test.each(["uid", "create"] as const)("of %s are tried again, five times in all", async (failing) => {
    t.sink.fault = (call) => (call === failing ? retry : undefined);
    t.record();
    await t.clock.advance(60_000);
    expect(t.sink.calls[failing]).toBe(5);
    expect(t.recorder.stats()).toMatchObject({ lost: { retries_exhausted: 1 }, retries: 4, series: 0 });
    expect(t.warnings).toEqual([{ regarding: "Pod web-0", error: "busy" }]);
  });

  test("that end leave no trace but the number of retries", async () => {
    let failures = 3;
    t.sink.fault = () => (failures-- > 0 ? retry : undefined);
    t.record();
    await t.clock.advance(30_000);
    expect(t.counts()).toEqual([1]);
    expect(t.recorder.stats()).toMatchObject({ reported: 1, retries: 3, lost: { retries_exhausted: 0 } });
  });

  test("are counted for each request", async () => {
    let failures = 4;
    t.sink.fault = (call) => (call !== "uid" && failures-- > 0 ? retry : undefined);
    t.record();
    await t.clock.advance(30_000);
    failures = 4;
    t.record();
    await t.clock.advance(30_000);
    expect(t.counts()).toEqual([2]);
    expect(t.recorder.stats()).toMatchObject({ retries: 8, lost: { retries_exhausted: 0 } });
  });

  test("wait longer each time", async () => {
    const times: number[] = [];
    t.sink.fault = (call) => {
      if (call === "create") times.push(t.clock.nowMs());
      return call === "create" ? retry : undefined;
    };
    t.record();
    await t.clock.advance(60_000);
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
    t.sink.fault = (call) =>
      throttled && call === "create" ? { kind: "retry", message: "429", retryAfterMs: 3_600_000 } : undefined;
    await t.send();
    throttled = false;
    t.record({ policy: "q" });
    await t.clock.advance(59_000);
    expect(t.sink.calls.create).toBe(1);
    await t.clock.advance(2000);
    expect(t.counts()).toEqual([1, 1]);
  });

  test("without an answer make no second Event and no wrong count", async () => {
    let lost = true;
    t.sink.fault = (call) => (lost && call === "create" ? "lost" : undefined);
    await t.send({ count: 2 });
    lost = false;
    t.record({ count: 3 });
    await t.clock.advance(5000);
    // The try that went through carried 2; the 3 that came later follow with the next word, in a minute.
    expect(t.counts()).toEqual([2]);
    expect(t.recorder.stats()).toMatchObject({ reported: 2, pending: 3 });
    await t.clock.advance(61_000);
    expect(t.counts()).toEqual([5]);
  });

  test("by refusal are logged once a minute, and not tried again for a while", async () => {
    t.sink.fault = (call) => (call === "create" ? { kind: "refused", message: "forbidden" } : undefined);
    for (let i = 0; i < 5; i++) {
      t.record({ policy: `p${i}` });
      t.record({ policy: `p${i}` });
      await t.clock.advance(1000);
    }
    expect(t.sink.calls.create).toBe(5);
    expect(t.recorder.stats().lost.refused).toBe(10);
    expect(t.warnings).toEqual([{ regarding: "Pod web-0", error: "forbidden" }]);
    await t.clock.advance(60_000);
    await t.send({ policy: "p0" });
    expect(t.sink.calls.create).toBe(6);
    expect(t.warnings).toHaveLength(2);
  });

  test("of the sink's own making are refusals", async () => {
    t.sink.fault = () => {
      throw new Error("bug");
    };
    await t.send();
    expect(t.recorder.stats().lost.refused).toBe(1);
  });
});

describe("stop", () => {
  test("sends what is pending, though its minute is not up", async () => {
    await t.send({ count: 3 });
    t.record({ count: 4 });
    const stopped = t.recorder.stop(5000);
    await t.clock.advance(0);
    await stopped;
    expect(t.counts()).toEqual([7]);
    expect(t.recorder.stats()).toMatchObject({ reported: 7, pending: 0, series: 0, queued: 0 });
    expect(t.clock.pending).toBe(0);
  });

  test("waits no longer than it may, and counts the rest as lost, once", async () => {
    const gate = Promise.withResolvers<void>();
    t.sink.gate = gate.promise;
    t.record({ count: 3 });
    t.record({ policy: "q" });
    const stopped = t.recorder.stop(5000);
    t.record({ count: 2 });
    await t.clock.advance(4999);
    expect(t.recorder.stats()).toMatchObject({ pending: 4, lost: { stopped: 2 } });
    await t.clock.advance(1);
    await stopped;
    expect(t.recorder.stats()).toMatchObject({ reported: 0, pending: 0, lost: { stopped: 6 } });
    gate.resolve();
    await t.clock.advance(60_000);
    expect(t.recorder.stats()).toMatchObject({ reported: 0, lost: { stopped: 6 } });
    expect(t.clock.pending).toBe(0);
  });

  test("waits for a retry that can still succeed", async () => {
    let failures = 1;
    t.sink.fault = (call) => (call === "create" && failures-- > 0 ? { kind: "retry", message: "busy" } : undefined);
    await t.send();
    const stopped = t.recorder.stop(10_000);
    await t.clock.advance(3000);
    await stopped;
    expect(t.recorder.stats().reported).toBe(1);
  });

  test("with nothing pending ends at once, also when it is called twice", async () => {
    const stopped = t.recorder.stop(60_000);
    expect(t.recorder.stop(60_000)).toBe(stopped);
    await stopped;
    t.record();
    expect(t.recorder.stats().lost.stopped).toBe(1);
  });
});

// Any mix of pods, series, faults and waiting: the counters balance, the shown counts are what was sent, and after enough
// quiet without faults nothing is pending.
test("the counters balance after any sequence", async () => {
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
      const tested = new Recorder(options, own, ownClock, silentLogger);
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
            ...createUpdate(nowUs, { policy: `p${one.policy}`, count: one.count }),
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
      // Events that were carried out though the answer was lost, and those sent again in full, only ever show more.
      expect(shown + deletedCounts).toBeGreaterThanOrEqual(tested.stats().reported);
      await ownClock.advance(400_000);
      expect(tested.stats().series).toBe(0);
      expect(ownClock.pending).toBe(0);
      const stopped = tested.stop(0);
      await ownClock.advance(0);
      await stopped;
      expectBalance(tested);
    },
  );
  await fc.assert(run, runs(60));
});
