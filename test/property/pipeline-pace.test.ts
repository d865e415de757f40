// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pace and order of writes for any stream.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { alert, formatTimeAt, LIMITS, MEMORY, toLetters } from "../support/gen.ts";
import { findProblems, Simulation, startSimulation } from "./pipeline-simulation.ts";

const MINUTE_MS = 60_000;

describe("a storm of one violation", () => {
  it("of 100,000 alerts is counted exactly, in a handful of writes", async () => {
    const s = await startSimulation();
    // 20 s at 5,000 alerts a second, each a process of its own.
    for (let tick = 0; tick < 200; tick++) {
      for (let i = 0; i < 500; i++) {
        s.send(
          alert({
            Operation: "File",
            HostPID: tick * 500 + i,
            UpdatedTime: formatTimeAt(tick * 100),
            Resource: `/proc/${i + 1}/maps`,
          }),
        );
      }
      await s.clock.advance(100);
    }
    await s.stop();
    const [report, ...others] = s.store.reports;
    expect(others).toEqual([]);
    expect(report?.summary).toMatchObject({ occurrences: 100_000, prevented: 100_000, violations: 1, pods: 1 });
    expect(report?.violations[0]).toMatchObject({ occurrences: 100_000, resource: "/proc/*/maps" });
    expect(s.store.writes).toBeLessThanOrEqual(6);
    expect(findProblems(s)).toEqual([]);
  });

  it("is written within a second of its first sight, however long it lasts", async () => {
    const s = await startSimulation();
    for (let i = 0; i < 20; i++) {
      await s.sendAndWait(50, alert({ HostPID: i }));
    }
    expect(s.results).toEqual([{ kind: "written", atMs: 200 }]);
    expect(s.store.get("shop/no-package-managers")?.summary.occurrences).toBe(4);
  });

  it("that goes on is written ever more rarely, up to once a minute", async () => {
    const s = await startSimulation();
    for (let second = 0; second < 600; second++) {
      await s.sendAndWait(1000, alert({ HostPID: second, UpdatedTime: formatTimeAt(second * 1000) }));
    }
    expect(s.results.map(({ atMs }) => atMs)).toEqual([
      200, 5200, 15_200, 35_200, 75_200, 135_200, 195_200, 255_200, 315_200, 375_200, 435_200, 495_200, 555_200,
    ]);
  });

  it("after a quiet time is written at once again", async () => {
    const s = await startSimulation();
    for (let i = 0; i < 5; i++) {
      await s.sendAndWait(10 * MINUTE_MS, alert({ HostPID: i }));
    }
    expect(s.results.map(({ atMs }) => atMs % (10 * MINUTE_MS))).toEqual([200, 200, 200, 200, 200]);
  });
});

describe("many violations", () => {
  it("in one report stay within its limits, and the summary counts all", async () => {
    const s = await startSimulation({ options: { limits: { ...LIMITS, maxViolations: 50, maxBytes: 40_000 } } });
    for (let i = 0; i < 10_000; i++) {
      const outcome = i % 100 === 7 ? { Result: "Passed", Action: "Audit" } : {};
      s.send(alert({ Operation: "File", Resource: `/data/${toLetters(i)}`, UpdatedTime: formatTimeAt(i), ...outcome }));
    }
    await s.stop();
    const [report] = s.store.reports;
    expect(report?.summary).toMatchObject({ occurrences: 10_000, violations: 10_000, allowed: 100, prevented: 9900 });
    expect(report?.violations).toHaveLength(50);
    // Allowed violations outlive prevented ones, the most recent first: 9,907, 9,807, … down to 5,007.
    expect(new Set(report?.violations.map(({ outcome }) => outcome))).toEqual(new Set(["Allowed"]));
    expect(report?.violations[0]?.resource).toBe(`/data/${toLetters(9907)}`);
    expect(report?.violations[49]?.resource).toBe(`/data/${toLetters(5007)}`);
    expect(report?.omitted).toEqual({ violations: 9950, occurrences: 9950 });
    expect(findProblems(s)).toEqual([]);
  });

  it("beyond the bound of memory are counted without their details, the newest last", async () => {
    const s = await startSimulation({ options: { memory: { ...MEMORY, maxViolations: 10 } } });
    for (let i = 0; i < 100; i++) s.send(alert({ Operation: "File", Resource: `/data/${toLetters(i)}` }));
    await s.stop();
    const { aggregator } = s.pipeline;
    expect(aggregator.stats.violations).toBeLessThanOrEqual(10);
    expect(aggregator.stats.violations + aggregator.stats.evicted).toBe(100);
    expect(aggregator.stats.withoutDetails).toBe(0);
    const [report] = s.store.reports;
    expect(report?.summary).toMatchObject({ occurrences: 100, prevented: 100 });
    expect(report?.omitted?.occurrences).toBe(aggregator.stats.evicted);
    expect(report?.coverage).toMatchObject({ withoutDetails: aggregator.stats.evicted, lowerBound: true });
    expect(report?.coverage.recent?.[0]).toMatchObject({ kind: "MemoryLimit", count: aggregator.stats.evicted });
    expect(findProblems(s)).toEqual([]);
  });

  it("one after the other get three writes at once, then one in five seconds", async () => {
    const s = await startSimulation();
    for (let i = 0; i < 200; i++) {
      s.send(alert({ Operation: "File", Resource: `/data/${toLetters(i)}`, UpdatedTime: formatTimeAt(i * 100) }));
      await s.clock.advance(100);
    }
    expect(s.results.map(({ atMs }) => atMs)).toEqual([200, 400, 600, 5600, 10_600, 15_600]);
  });
});

describe("many reports", () => {
  it("never cost more writes than the budget", async () => {
    const s = await startSimulation();
    for (let round = 0; round < 30; round++) {
      for (let i = 0; i < 300; i++) {
        s.send(alert({ PolicyName: `policy-${i}`, HostPID: round, UpdatedTime: formatTimeAt(round * 1000) }));
      }
      await s.clock.advance(1000);
    }
    const times = s.results.map(({ atMs }) => atMs);
    for (const from of times) {
      for (const [length, most] of [
        [1000, 60],
        [10_000, 240],
      ] as const) {
        expect(times.filter((ms) => ms >= from && ms < from + length).length).toBeLessThanOrEqual(most);
      }
    }
    // Busy all the time, each report written at least twice: nothing starves.
    expect(times.length).toBeGreaterThan(600);
    expect(s.store.reports).toHaveLength(300);
    await s.stop();
    expect(s.store.occurrences).toBe(9000);
    expect(findProblems(s)).toEqual([]);
  });

  it("that are new go first when writes are scarce", async () => {
    const s = await startSimulation({ options: { writesPerSecond: 1, writeBurst: 1 } });
    const old = Array.from({ length: 5 }, (_, i) => `old-${i}`);
    await s.sendAndWait(20_000, ...old.map((PolicyName) => alert({ PolicyName })));
    expect(s.store.reports).toHaveLength(5);
    // Counters of the old come first, the new a moment later.
    await s.sendAndWait(50, ...old.map((PolicyName) => alert({ PolicyName, HostPID: 7 })));
    s.send(...["new-0", "new-1", "new-2"].map((PolicyName) => alert({ PolicyName })));
    const written = s.store.history.length;
    await s.clock.advance(30_000);
    const order = s.store.history.slice(written).map(({ key }) => key.replace("shop/", ""));
    expect(order.slice(1, 4)).toEqual(["new-0", "new-1", "new-2"]);
    expect(new Set(order)).toEqual(new Set([...old, "new-0", "new-1", "new-2"]));
  });
});

describe("an API server that wants to be left alone", () => {
  it("is left alone for as long as it says, however much is new", async () => {
    const s = await startSimulation({ faults: new Map([[1, "retry_before"]]) });
    for (let i = 0; i < 30; i++) {
      s.send(alert({ Operation: "File", Resource: `/data/${toLetters(i)}`, UpdatedTime: formatTimeAt(i) }));
      await s.clock.advance(100);
    }
    // The first try at 200 ms is answered with "in 3 s".
    expect(s.results.map(({ atMs }) => atMs)).toEqual([200]);
    await s.clock.advance(400);
    expect(s.results.map(({ kind, atMs }) => [kind, atMs])).toEqual([
      ["retry", 200],
      ["written", 3200],
      // Alerts since the first try.
      ["written", 3400],
    ]);
    await s.stop();
    expect(findProblems(s)).toEqual([]);
  });

  it("and is gone for ten minutes costs no count, and few tries", async () => {
    const faults = new Map(Array.from({ length: 60 }, (_, i) => [i + 1, "unknown_before"] as const));
    const s = await startSimulation({ faults });
    for (let second = 0; second < 600; second++) {
      for (let i = 0; i < 10; i++) {
        s.send(alert({ Operation: "File", Resource: `/data/${toLetters(second % 50)}`, HostPID: second * 10 + i }));
      }
      await s.clock.advance(1000);
    }
    expect(s.sink.calls).toBeLessThan(120);
    await s.stop();
    expect(s.store.occurrences).toBe(6000);
    expect(findProblems(s)).toEqual([]);
  });
});

it("nothing to do makes no request and keeps no timer", async () => {
  const s = await startSimulation();
  await s.sendAndWait(MINUTE_MS, alert());
  const calls = s.sink.calls;
  await s.clock.advance(60 * MINUTE_MS);
  expect(s.sink.calls).toBe(calls);
  expect(s.clock.pending).toBe(0);
});

it("alerts of more reports than may be written set no timer each: what an alert costs does not grow with what waits", async () => {
  const s = await startSimulation();
  const storm = (ms: number) => {
    for (let i = 0; i < 2000; i++) s.send(alert({ PolicyName: `policy-${i}`, UpdatedTime: formatTimeAt(ms) }));
  };
  storm(0);
  await s.clock.advance(1000);
  const before = s.clock.timersSet;
  storm(1000);
  // Not one of the 2,000 can be written sooner than the budget allows.
  expect(s.clock.timersSet - before).toBeLessThanOrEqual(1);
  await s.stop();
  expect(findProblems(s)).toEqual([]);
});

describe("many reports", () => {
  it("with moving counters are written although new violations take the whole budget", async () => {
    const s = await startSimulation({ options: { writesPerSecond: 2, writeBurst: 4 } });
    await s.sendAndWait(10_000, alert({ HostPID: 1 }));
    s.send(alert({ HostPID: 2, UpdatedTime: formatTimeAt(10_000) }));
    // 12 reports with something new every 2 s: 2.4 writes a second are wanted, 2 allowed.
    for (let second = 0, n = 0; second < 60; second += 2) {
      for (let p = 0; p < 12; p++) {
        const file = { Operation: "File", Source: "/bin/x", Resource: `/srv/x${n++}y` };
        s.send(alert({ ...file, PolicyName: `busy-${p}` }));
      }
      await s.clock.advance(2000);
    }
    expect(s.store.get("shop/no-package-managers")?.summary.occurrences).toBe(2);
  });

  it("wait for a large one, which counts as one write for each 32 KiB", async () => {
    const s = await startSimulation({ options: { writesPerSecond: 1, writeBurst: 1 } });
    for (let n = 0; n < 200; n++) {
      const file = { Operation: "File", Resource: `/srv/${toLetters(n)}`, Data: "x".repeat(500) };
      s.send(alert({ ...file, PolicyName: "large" }));
    }
    await s.clock.advance(500);
    const large = s.store.get("shop/large") as Report;
    const writes = JSON.stringify(large.violations).length / 32_768;
    expect(writes).toBeGreaterThan(5);
    await s.sendAndWait(writes * 1000 - 600, alert({ PolicyName: "small" }));
    expect(s.store.get("shop/small")).toBeUndefined();
    await s.clock.advance(600);
    expect(s.store.get("shop/small")?.summary.occurrences).toBe(1);
  });

  it("of one namespace do not delay the first report of another", async () => {
    const s = await startSimulation({ options: { writesPerSecond: 2, writeBurst: 4 } });
    for (let n = 0; n < 1000; n++) s.send(alert({ PolicyName: `flood-${n}` }));
    await s.clock.advance(10_000);
    await s.sendAndWait(2000, alert({ NamespaceName: "bank", OwnerNamespace: "bank" }));
    expect(s.store.get("bank/no-package-managers")?.summary.occurrences).toBe(1);
  });

  it("are written once for a relay that is away for a second, and not before half of maxIntervalMs", async () => {
    const s = await startSimulation();
    for (let n = 0; n < 100; n++) s.send(alert({ PolicyName: `p${n}` }));
    await s.clock.advance(120_000);
    const before = s.store.writes;
    for (let times = 0; times < 5; times++) {
      s.disconnect();
      await s.clock.advance(1000);
      s.pipeline.onConnected();
      await s.clock.advance(4000);
    }
    expect(s.store.writes).toBe(before);
    // A report that is written for another reason carries the gaps.
    await s.sendAndWait(1000, alert({ PolicyName: "p0", UpdatedTime: formatTimeAt(150_000) }));
    expect(s.store.get("shop/p0")?.coverage).toMatchObject({ gaps: 5, lowerBound: true });
    expect(s.store.writes).toBe(before + 1);
    await s.clock.advance(300_000);
    expect(s.store.writes).toBeLessThanOrEqual(before + 101);
    expect(s.store.reports.every(({ coverage }) => coverage.gaps === 5)).toBe(true);
  });
});

describe("a namespace that does not exist", () => {
  it("is tried ever more rarely, and its counts go to the cluster report at that one's pace", async () => {
    const s = new Simulation();
    s.store.goneNamespaces.add("nowhere");
    await s.start();
    const place = { NamespaceName: "nowhere", OwnerNamespace: "nowhere" };
    for (let second = 0; second < 3600; second++) {
      await s.sendAndWait(1000, alert({ ...place, HostPID: second + 1, UpdatedTime: formatTimeAt(second * 1000) }));
    }
    const tries = s.results.filter(({ kind }) => kind === "namespace_gone");
    // 5 s, doubling up to 10 min.
    expect(tries.length).toBeLessThanOrEqual(13);
    expect(tries.length).toBeGreaterThanOrEqual(10);
    const written = s.results.filter(({ kind }) => kind === "written");
    // As a storm in one namespace: doubling up to once a minute.
    expect(written.length).toBeLessThanOrEqual(70);
    await s.clock.advance(120_000);
    expect(s.store.get("/no-package-managers")?.summary.occurrences).toBe(3600);
    expect(findProblems(s)).toEqual([]);
  });

  it("has its reports again within ten minutes once it is there", async () => {
    const s = new Simulation();
    s.store.goneNamespaces.add("nowhere");
    await s.start();
    const place = { NamespaceName: "nowhere", OwnerNamespace: "nowhere" };
    const sendFor = async (seconds: number) => {
      for (let second = 0; second < seconds; second += 10) {
        const ms = s.clock.elapsedMs;
        await s.sendAndWait(10_000, alert({ ...place, HostPID: ms + 1, UpdatedTime: formatTimeAt(ms) }));
      }
    };
    await sendFor(3600);
    s.store.goneNamespaces.delete("nowhere");
    await sendFor(620);
    expect(s.store.get("nowhere/no-package-managers")?.summary.occurrences).toBeGreaterThan(0);
    expect(findProblems(s)).toEqual([]);
  });

  it("takes no memory once it is forgotten: neither ledgers nor paces", async () => {
    const s = await startSimulation();
    for (let n = 0; n < 40; n++) {
      await s.sendAndWait(1000, alert({ NamespaceName: `ci-${n}`, OwnerNamespace: `ci-${n}`, ContainerID: `c${n}` }));
      s.store.removeNamespace(`ci-${n}`);
      s.pipeline.aggregator.gaps.late.touchAll();
      s.pipeline.aggregator.gaps.late.writeAll(0);
      await s.clock.advance(60_000);
    }
    expect(s.pipeline.aggregator.ledgers.size).toBeLessThanOrEqual(1);
    expect(s.pipeline.controller.buffers.write_intervals.size).toBeLessThanOrEqual(4);
  });
});
