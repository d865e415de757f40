// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Takeovers by a process whose predecessor was its own, and the declaration of what a standby forgot.

import { expect, it } from "vitest";
import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline } from "../../src/app/pipeline/pipeline.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { SinkError, type WriteResult } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, createPipelineOptions, formatTimeAt, LIMITS, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { sendRaw } from "../support/send-raw.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const STANDBY = { maxAlerts: 40, maxCells: 20, maxPodsPerViolation: LIMITS.maxPodsPerViolation, overlapMs: 10_000 };

function send(simulation: Simulation, policy: string, count: number): void {
  for (let i = 0; i < count; i++) {
    const UpdatedTime = formatTimeAt(simulation.clock.nowMs() - START_MS + i / 1000);
    simulation.pipeline.onAlert(alert({ PolicyName: policy, HostPID: i + 1, UpdatedTime }), 0);
  }
}

it.each([
  ["another replica led before", { persistedUntilMs: START_MS + 9000 }],
  ["its own earlier process led before", { persistedUntilMs: undefined, isSeparate: true, isReleased: false }],
])("alerts that a standby forgot are declared, also in a report that begins later, where %s", async (_, previous) => {
  const store = new MemorySink();
  const simulation = new Simulation({ store, options: { standby: STANDBY, writerId: "standby" } });
  simulation.pipeline.onConnected();
  await simulation.clock.advance(10_000);
  send(simulation, "a", 10);
  await simulation.clock.advance(100);
  send(simulation, "b", 100);
  await simulation.settleWhile(simulation.pipeline.load(SIGNAL, previous));
  simulation.pipeline.controller.start();
  await simulation.clock.advance(30_000);
  send(simulation, "a", 1);
  await simulation.clock.advance(60_000);
  const { summary, coverage } = store.get("shop/a") ?? {};
  expect([summary?.occurrences, coverage?.lowerBound]).toEqual([1, true]);
  const isDeclared = coverage?.recent?.some(
    ({ from, to = "" }) => from <= formatTimeAt(10_000) && to > formatTimeAt(10_000),
  );
  expect(isDeclared).toBe(true);
});

it("a process that follows its own counts every alert at once, however many come before the reports are loaded", async () => {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  for (let i = 0; i < 50; i++) send(first, `p-${i}`, 1);
  await first.stop();
  const standby = { ...STANDBY };
  const next = new Simulation({ store, clock: first.clock, options: { standby, writerId: "next" } });
  next.pipeline.onConnected();
  await first.clock.advance(1000);
  for (let i = 0; i < 10; i++) send(next, `p-${i}`, 1);
  store.listErrors.push(new SinkError("away"));
  const loading = next.pipeline.load(SIGNAL, { isSeparate: true, persistedUntilMs: undefined });
  await first.clock.advance(0);
  for (let i = 0; i < 50; i++) send(next, `p-${i}`, 10);
  await next.settleWhile(loading);
  next.pipeline.controller.start();
  await first.clock.advance(60_000);
  expect(next.pipeline.takeover.counters?.forgotten).toBe(0);
  expect(store.occurrences).toBe(first.pipeline.counters.counted + next.pipeline.counters.counted);
});

it.each([-5 * 3_600_000, -31 * 86_400_000])(
  "a replica with a clock set by %d ms goes on after a takeover",
  async (byMs) => {
    const store = new MemorySink();
    const first = await startSimulation({ store });
    const { clock } = first;
    const sendNow = (simulation: Simulation) => {
      const UpdatedTime = formatTimeAt(clock.elapsedMs);
      simulation.pipeline.onAlert(alert({ UpdatedTime }), 0);
    };
    for (let i = 0; i < 10; i++) {
      sendNow(first);
      await clock.advance(1000);
    }
    await first.stop();
    const persistedUntilMs = clock.nowMs();
    clock.stepWall(byMs);
    const next = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "next" } });
    next.pipeline.onConnected();
    await next.settleWhile(next.pipeline.load(SIGNAL, { persistedUntilMs }));
    next.pipeline.controller.start();
    for (let i = 0; i < 60; i++) {
      await clock.advance(1000);
      sendNow(next);
    }
    await clock.advance(60_000);
    expect(store.occurrences).toBe(70);
  },
);

it("loading lets alerts be read after every 500 violations", async () => {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  for (let i = 0; i < 20; i++) {
    for (let v = 0; v < 100; v++) {
      const fields = { PolicyName: `p-${i}`, Resource: `/srv/f${v}x`, Operation: "File", Source: "/bin/x" };
      first.pipeline.onAlert(alert(fields), 0);
    }
  }
  await first.stop();
  let turns = 0;
  const clock = new FakeClock(first.clock.nowMs());
  clock.turn = () => {
    turns++;
    return Promise.resolve();
  };
  const parts = { sink: store, events: { record() {} }, clock, logger: silentLogger };
  await new Pipeline(createPipelineOptions(), parts).load(SIGNAL);
  expect(turns).toBeGreaterThanOrEqual(4);
});

it("each report is adopted before the next one is read, and no longer held", async () => {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  for (let i = 0; i < 20; i++) send(first, `p-${i}`, 1);
  await first.stop();
  const adopted: number[] = [];
  const clock = new FakeClock(first.clock.nowMs());
  const sink = {
    ...{ read: store.read.bind(store), write: store.write.bind(store), remove: store.remove.bind(store) },
    async *list() {
      for (const report of store.reports) {
        yield report;
        adopted.push(pipeline.aggregator.stats.violations);
      }
    },
  };
  const parts = { sink, events: { record() {} }, clock, logger: silentLogger };
  const pipeline = new Pipeline(createPipelineOptions({ standby: STANDBY, writerId: "next" }), parts);
  await pipeline.load(SIGNAL, { persistedUntilMs: undefined });
  expect(adopted).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
});

it("a list that breaks goes on where it was, and counts nothing twice", async () => {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  for (let i = 0; i < 20; i++) send(first, `p-${i}`, 3);
  await first.stop();
  const clock = new FakeClock(first.clock.nowMs());
  let lists = 0;
  const sink = {
    ...{ read: store.read.bind(store), write: store.write.bind(store), remove: store.remove.bind(store) },
    async *list() {
      lists++;
      const all = store.reports;
      yield* lists === 1 ? all.slice(0, 7) : all;
      if (lists === 1) throw new SinkError("away");
    },
  };
  const parts = { sink, events: { record() {} }, clock, logger: silentLogger };
  const pipeline = sendRaw(new Pipeline(createPipelineOptions({ standby: STANDBY, writerId: "next" }), parts));
  pipeline.onConnected();
  const loading = pipeline.load(SIGNAL, { persistedUntilMs: undefined });
  await clock.advance(0);
  expect(pipeline.takeover.listing).toBe("away");
  const UpdatedTime = formatTimeAt(clock.nowMs() - START_MS + 1000);
  for (let i = 0; i < 20; i++) pipeline.onAlert(alert({ PolicyName: `p-${i}`, UpdatedTime }), 0);
  for (let i = 0; pipeline.takeover.listing !== undefined && i < 100; i++) await clock.advance(1000);
  await loading;
  pipeline.controller.start();
  await clock.advance(60_000);
  expect([lists, store.occurrences]).toEqual([2, 20 * 4]);
});

it("an alert from before its owner was known is not counted again once the report has it under the owner", async () => {
  const store = new MemorySink();
  const leader = await startSimulation({ store });
  const { clock } = leader;
  const standby = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "standby" } });
  standby.pipeline.onConnected();
  const sendBoth = (fields: Partial<Alert>) => {
    const each = alert({ ...fields, UpdatedTime: formatTimeAt(clock.nowMs() - START_MS) });
    for (const { pipeline } of [leader, standby]) pipeline.onAlert(each, 0);
  };
  sendBoth({ OwnerRef: "", OwnerName: "", OwnerNamespace: "" });
  await clock.advance(1);
  sendBoth({});
  await clock.advance(60_000);
  const observer = standby.pipeline.takeover.observer;
  for (const report of store.reports) observer?.onStored(report, "changed");
  expect(store.get("shop/no-package-managers")?.violations).toHaveLength(1);
  const previous = { persistedUntilMs: clock.nowMs() };
  await standby.settleWhile(standby.pipeline.load(SIGNAL, previous));
  standby.pipeline.controller.start();
  await clock.advance(60_000);
  expect(store.occurrences).toBe(2);
});

it("a gap that lasted when its process died ends when the next one takes over", async () => {
  const store = new MemorySink();
  const first = await startSimulation({ store });
  send(first, "a", 1);
  await first.clock.advance(10_000);
  first.disconnect();
  await first.clock.advance(60_000);
  expect(store.get("shop/a")?.coverage.recent?.map(({ kind, to }) => [kind, to])).toEqual([["StreamDown", undefined]]);
  const next = await startSimulation({ store, clock: first.clock });
  await next.clock.advance(3_600_000);
  const { recent = [], gaps } = store.get("shop/a")?.coverage ?? {};
  expect([recent.filter(({ to }) => to === undefined), gaps]).toEqual([[], 2]);
});

/** Takes no reports while they are held back, and none of a namespace that is gone. */
class HeldSink extends MemorySink {
  isHeld = true;

  override async write(report: Report, signal: AbortSignal): Promise<WriteResult> {
    const isGone = this.goneNamespaces.has(report.metadata.namespace ?? "");
    if (this.isHeld && !isGone) return { kind: "retry", message: "held back" };
    return await super.write(report, signal);
  }
}

it("counts that were moved to a cluster report are published as persisted once that report has them", async () => {
  const held = new HeldSink();
  const s = await startSimulation({ store: held, options: { standby: STANDBY } });
  await s.clock.advance(20_000);
  const { takeover } = s.pipeline;
  const sentMs = s.clock.nowMs();
  s.pipeline.onAlert(alert({ UpdatedTime: formatTimeAt(sentMs - START_MS) }), 0);
  for (let i = 0; i < 60; i++) {
    if (i === 20) held.goneNamespaces.add("shop");
    await s.clock.advance(1000);
    expect(takeover.persistedUntilMs).toBeLessThanOrEqual(sentMs);
  }
  held.isHeld = false;
  await s.clock.advance(60_000);
  expect([held.occurrences, takeover.persistedUntilMs]).toEqual([1, s.clock.nowMs()]);
});

it.each([3_600_000, -3_600_000])(
  "an alert that the previous leader has reported is not counted again by a clock that is wrong by %d ms",
  async (byMs) => {
    const store = new MemorySink();
    const first = await startSimulation({ store });
    const { clock } = first;
    await clock.advance(5000);
    send(first, "a", 3);
    await first.stop();
    const late = clock.nowMs() - START_MS;
    clock.stepWall(byMs);
    const otherNowMs = () => START_MS + clock.elapsedMs;
    const next = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "next" }, otherNowMs });
    next.pipeline.onConnected();
    await next.settleWhile(next.pipeline.load(SIGNAL, { persistedUntilMs: clock.nowMs() }));
    next.pipeline.controller.start();
    for (const ms of [5000, late + 1000])
      next.pipeline.onAlert(alert({ PolicyName: "a", HostPID: 1, UpdatedTime: formatTimeAt(ms) }), 0);
    await clock.advance(60_000);
    expect(store.occurrences).toBe(4);
  },
);
