// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps: the stream comes and goes, containers are throttled, input is rejected. Each is declared once.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline } from "../../src/app/pipeline/pipeline.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, createPipelineOptions, formatTimeAt, hostAlert, MEMORY, throttleNotice } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";

function getCoverage(simulation: Simulation, key = KEY): Report["coverage"] | undefined {
  return simulation.store.get(key)?.coverage;
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}

describe("the stream", () => {
  it("that was never lost is continuous since it was opened", async () => {
    const s = await startSimulation();
    await s.sendAndWait(1000, alert());
    expect(getCoverage(s)).toEqual({
      continuousSince: "2026-11-23T10:00:00.000000Z",
      gaps: 0,
      throttleNotices: 0,
      lowerBound: false,
    });
  });

  it("that is lost and found is one gap, however many tries it took, and continuous since it was found", async () => {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert());
    s.disconnect("ok_end");
    // Half of maxIntervalMs later no report claims that it is read.
    await s.clock.advance(31_000);
    const began = "2026-11-23T10:00:09.900000Z";
    expect(getCoverage(s)).toEqual({
      gaps: 1,
      throttleNotices: 0,
      lowerBound: true,
      recent: [{ kind: "StreamEnded", from: began }],
    });
    for (let i = 0; i < 5; i++) {
      s.disconnect("connect_failed");
      await s.clock.advance(1000);
    }
    s.pipeline.onConnected();
    await s.clock.advance(60_000);
    expect(getCoverage(s)).toEqual({
      continuousSince: "2026-11-23T10:00:46.000000Z",
      gaps: 1,
      throttleNotices: 0,
      lowerBound: true,
      recent: [{ kind: "StreamEnded", from: began, to: "2026-11-23T10:00:46.000000Z", seconds: 37 }],
    });
    expect(s.pipeline.coverage).toMatchObject({ gaps: { StreamEnded: 1 }, gapSeconds: { StreamEnded: 36.1 } });
    expect(s.pipeline.coverage.disconnects).toEqual({
      ok_end: 1,
      error: 0,
      watchdog: 0,
      connect_failed: 5,
      node_down: 0,
    });
  });

  it("that was lost before a report existed is not a gap of that report", async () => {
    const s = await startSimulation();
    s.send(alert());
    s.disconnect();
    s.pipeline.onConnected();
    await s.sendAndWait(1000, hostAlert());
    expect(getCoverage(s)).toMatchObject({ gaps: 1, lowerBound: true });
    expect(getCoverage(s, "/host-files")).toMatchObject({ gaps: 0, lowerBound: false });
  });

  it("of single nodes is a gap of every report while one is missing, later reports included", async () => {
    const nodes = { desired: 3, connected: 3 };
    const s = new Simulation({ nodes: () => nodes });
    const startMs = s.clock.nowMs();
    await s.start();
    await s.sendAndWait(1000, alert());
    expect(getCoverage(s)).toMatchObject({ gaps: 0, nodes: { desired: 3, connected: 3 } });
    nodes.connected = 1;
    const fromMs = s.clock.nowMs();
    s.pipeline.onDisconnected({
      lastReadMs: fromMs,
      atMs: fromMs,
      reason: "node_down",
      message: "node a: gone",
      nodes: 1,
    });
    await s.clock.advance(1000);
    // Other nodes are still read.
    await s.sendAndWait(60_000, hostAlert());
    for (const key of [KEY, "/host-files"]) {
      expect(getCoverage(s, key)).toMatchObject({
        nodes: { desired: 3, connected: 1 },
        gaps: 1,
        lowerBound: true,
        recent: [{ kind: "NodeDown", from: formatTime(fromMs) }],
      });
      expect(getCoverage(s, key)).not.toHaveProperty("continuousSince");
    }
    nodes.connected = 3;
    s.pipeline.onConnected({ nodes: 2 });
    const toMs = s.clock.nowMs();
    await s.sendAndWait(60_000, alert({ PolicyName: "later" }));
    const gap = { kind: "NodeDown", from: formatTime(fromMs), to: formatTime(toMs), seconds: 61, nodes: 2 };
    for (const key of [KEY, "/host-files"]) {
      expect(getCoverage(s, key)).toMatchObject({ gaps: 1, recent: [gap], continuousSince: formatTime(toMs) });
    }
    expect(getCoverage(s, "shop/later")).toMatchObject({ gaps: 0, lowerBound: false });
    expect(startMs).toBeLessThan(fromMs);
  });

  it("of nodes that are not all connected yet is a gap of reports that begin meanwhile", async () => {
    const s = new Simulation({ nodes: () => ({ desired: 2, connected: 1 }) });
    const fromMs = s.clock.nowMs();
    await s.pipeline.load(SIGNAL);
    s.pipeline.controller.start();
    await s.sendAndWait(5_000, alert());
    s.pipeline.onConnected();
    const toMs = s.clock.nowMs();
    await s.sendAndWait(60_000, hostAlert());
    expect(getCoverage(s)).toMatchObject({
      gaps: 1,
      recent: [{ kind: "NodeDown", from: formatTime(fromMs), to: formatTime(toMs) }],
    });
    expect(getCoverage(s, "/host-files")).toMatchObject({ gaps: 0 });
  });

  it("that could never be opened is not a gap", async () => {
    const s = new Simulation();
    s.disconnect("connect_failed");
    s.disconnect("connect_failed");
    expect(new Set(Object.values(s.pipeline.coverage.gaps))).toEqual(new Set([0]));
    expect(s.pipeline.coverage.down?.reason).toBe("connect_failed");
  });

  it("that comes and goes without an alert makes no report", async () => {
    const s = await startSimulation();
    for (let i = 0; i < 5; i++) {
      s.disconnect();
      await s.clock.advance(5000);
      s.pipeline.onConnected();
    }
    await s.stop();
    expect(s.sink.calls).toBe(0);
  });
});

describe("each way to lose alerts", () => {
  it("is distinguished, with its time, and read back by the next process", async () => {
    const s = await startSimulation({ options: { memory: { ...MEMORY, maxViolations: 1 } } });
    await s.sendAndWait(10_000, alert());
    s.disconnect();
    await s.clock.advance(10_000);
    s.pipeline.onConnected();
    s.send(throttleNotice({ UpdatedTime: formatTimeAt(21_000) }));
    // There is no memory for a second violation.
    s.send(alert({ ProcessName: "/usr/bin/dpkg", Resource: "/usr/bin/dpkg", UpdatedTime: formatTimeAt(22_000) }));
    s.pipeline.onRejected("invalid_wire", "bytes", 0);
    await s.stop();
    const next = new Simulation({ store: s.store, clock: s.clock });
    await next.clock.advance(30_000);
    await next.start();
    await next.stop();
    const { recent, ...counts } = getCoverage(next) ?? {};
    expect(counts).toMatchObject({ gaps: 2, throttleNotices: 1, rejected: 1, withoutDetails: 1, lowerBound: true });
    expect(recent?.map(({ kind, from, to }) => [kind, from.slice(17, 21), to?.slice(14, 21)])).toEqual([
      ["MemoryLimit", "22.0", "00:22.0"],
      ["NotRunning", "22.0", "00:50.0"],
      ["Throttled", "21.0", "00:51.0"],
      ["Rejected", "20.0", "00:20.0"],
      ["StreamDown", "09.9", "00:20.0"],
    ]);
  });

  it("is declared where the operator itself stalled on an open stream", async () => {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert());
    s.pipeline.onEventLoopStall(6000);
    await s.stop();
    const { recent, ...rest } = getCoverage(s) ?? {};
    expect(rest).toMatchObject({ gaps: 1, lowerBound: true, continuousSince: formatTimeAt(10_000) });
    expect(recent).toEqual([{ kind: "Stalled", from: formatTimeAt(4000), to: formatTimeAt(10_000), seconds: 6 }]);
  });

  it("is declared only in reports that may be short of something", async () => {
    const s = await startSimulation();
    s.send(alert(), alert({ NamespaceName: "bank", OwnerNamespace: "bank", HostPID: 1 }), hostAlert());
    await s.sendAndWait(6000, alert({ PolicyName: "" }), hostAlert({ PolicyName: "", Type: "HostLog" }));
    const rejectedIn = (key: string) => getCoverage(s, key)?.rejected ?? 0;
    expect([KEY, "bank/no-package-managers", "/host-files"].map(rejectedIn)).toEqual([1, 0, 0]);
    s.pipeline.onRejected("message_too_large", "5 MB", 0);
    await s.clock.advance(60_000);
    expect([KEY, "bank/no-package-managers", "/host-files"].map(rejectedIn)).toEqual([2, 1, 1]);
    // Later reports were not affected.
    s.send(alert({ PolicyName: "later" }));
    await s.stop();
    expect(getCoverage(s, "shop/later")).toMatchObject({ lowerBound: false });
  });

  it("is an Event when it lasts, while there is an operator object", async () => {
    const s = await startSimulation({ self: { kind: "Deployment", namespace: "kubearmor", name: "pvo" } });
    s.disconnect("ok_end");
    await s.clock.advance(70_000);
    s.pipeline.onConnected();
    expect(s.occurrences.map(({ regarding, operation }) => [regarding.name, operation])).toEqual([
      ["pvo", "StreamEnded"],
    ]);
  });
});

describe("a throttle notice", () => {
  const orders = [
    ["before the alert", [throttleNotice(), alert()]],
    ["after the alert", [alert(), throttleNotice()]],
  ] as const;

  it.each(orders)("%s marks the report", async (_name, alerts) => {
    const s = await startSimulation();
    await s.sendAndWait(6000, ...alerts);
    expect(getCoverage(s)).toMatchObject({ gaps: 0, throttleNotices: 1, lowerBound: true });
    expect(s.pipeline.counters).toMatchObject({ received: 2, counted: 1, throttleNotices: 1 });
  });

  it.each([
    ["of another pod", { PodName: "web-2" }],
    ["of another namespace's pod of the same name", { NamespaceName: "bank" }],
    ["of a host", { NamespaceName: "", PodName: "", ContainerName: "" }],
  ])("%s leaves the report alone", async (_name, mods) => {
    const s = await startSimulation();
    await s.sendAndWait(6000, alert(), throttleNotice(mods));
    expect(getCoverage(s)).toMatchObject({ throttleNotices: 0, lowerBound: false });
  });

  it("of a host marks what the host did, and not what a container on it did", async () => {
    const s = await startSimulation();
    const container = { NamespaceName: "container_namespace", OwnerNamespace: "", PodName: "box", PolicyName: "box" };
    const notice = throttleNotice({ NamespaceName: "", PodName: "", ContainerName: "" });
    await s.sendAndWait(6000, hostAlert({ PolicyName: "p" }), alert(container), notice);
    expect(getCoverage(s, "/p")).toMatchObject({ throttleNotices: 1, lowerBound: true });
    expect(getCoverage(s, "/box")).toMatchObject({ throttleNotices: 0, lowerBound: false });
  });

  it("that carries the alert which tripped the limit is not counted as a violation", async () => {
    const s = await startSimulation();
    s.send(alert({ Type: "SystemEvent", Operation: "AlertThreshold", MaxAlertsPerSec: 10 }));
    await s.stop();
    expect(s.pipeline.counters).toMatchObject({ received: 1, counted: 0, throttleNotices: 1 });
    expect(s.store.reports).toEqual([]);
  });

  it("has the pod", async () => {
    const s = await startSimulation();
    s.send(throttleNotice());
    expect(s.occurrences).toEqual([
      expect.objectContaining({
        regarding: { kind: "Pod", namespace: "shop", name: "web-1" },
        outcome: "Throttled",
        count: 1,
      }),
    ]);
  });
});

it("counters balance with any input", async () => {
  const rejected: unknown[] = [];
  const clock = new FakeClock();
  const pipeline = new Pipeline(createPipelineOptions(), {
    sink: new MemorySink(),
    events: { record() {} },
    clock,
    logger: silentLogger,
    onRejected: (...args) => rejected.push(args),
  });
  pipeline.onAlert(alert(), 1);
  pipeline.onAlert(alert(), 2);
  pipeline.onAlert(alert({ UpdatedTime: "" }), 3);
  pipeline.onAlert(alert({ UpdatedTime: "" }), 4);
  pipeline.onAlert(throttleNotice(), 5);
  pipeline.onAlert(alert({ PolicyName: " " }), 6);
  pipeline.onRejected("invalid_json", "no JSON", 7);
  pipeline.onRejected("message_too_large", "5 MB", 0);
  // An alert without a time of its own is never taken for a duplicate.
  expect({ ...pipeline.counters }).toEqual({
    received: 8,
    counted: 3,
    duplicates: 1,
    shortened: 0,
    names: 2,
    namesEvicted: 0,
    joined: 0,
    throttleNotices: 1,
    rejected: {
      no_policy: 1,
      invalid_json: 1,
      message_too_large: 1,
      invalid_wire: 0,
      not_an_alert: 0,
      line_too_long: 0,
      too_many_reports: 0,
      too_many_reports_in_namespace: 0,
    },
  });
  expect(pipeline.counters.isReconciled).toBe(true);
  expect(rejected).toEqual([
    ["no_policy", "no PolicyName (MatchedPolicy, Process, shop, web-1, node-1)", 6],
    ["invalid_json", "no JSON", 7],
    ["message_too_large", "5 MB", 0],
  ]);
  expect(pipeline.lastAlertMs).toBe(clock.nowMs());
});
