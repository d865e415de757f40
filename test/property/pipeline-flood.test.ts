// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A process that violates policies without end, each time another way, takes nothing from others: not their place in
// memory, not their place in the report, not their counts.

import { describe, expect, it } from "vitest";
import { alert, formatTimeAt, MEMORY, toLetters } from "../support/gen.ts";
import { findProblems, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";
/** In the suite; `FLOOD=1000000` is the whole of it. */
const PATHS = Number(process.env["FLOOD"] ?? 30_000);
const MEMORY_OF_TEST = { ...MEMORY, maxViolations: 2000, maxViolationsPerWorkload: 1000 };

/** Digits would be folded away. */
function createOtherAlert(i: number, ms: number): ReturnType<typeof alert> {
  const name = `other-${toLetters(i)}`;
  return alert({ OwnerName: name, PodName: name, Resource: `/usr/bin/${toLetters(i)}`, UpdatedTime: formatTimeAt(ms) });
}

describe("a million paths of one pod", () => {
  it("evict no one, and later ones are identified", async () => {
    const s = await startSimulation({ options: { memory: MEMORY_OF_TEST } });
    for (let i = 0; i < 20; i++) s.pipeline.onAlert(createOtherAlert(i, 0), 0);
    await s.clock.advance(1000);
    let mostBytes = 0;
    for (let i = 0; i < PATHS; i++) {
      s.pipeline.onAlert(
        alert({
          Operation: "File",
          Resource: `/tmp-x/${toLetters(i)}`,
          UpdatedTime: formatTimeAt(1000 + i),
          HostPID: i,
        }),
        0,
      );
      if (i % 1000 !== 0) continue;
      mostBytes = Math.max(mostBytes, s.pipeline.aggregator.stats.bytes);
      await s.clock.advance(1000);
    }
    for (let i = 20; i < 40; i++) s.pipeline.onAlert(createOtherAlert(i, 2000), 0);
    await s.clock.advance(120_000);
    await s.stop();
    const report = s.store.get(KEY);
    const workloads = report?.violations.map(({ workload }) => workload.name) ?? [];
    for (let i = 0; i < 40; i++) expect(workloads).toContain(`other-${toLetters(i)}`);
    expect(report?.summary.occurrences).toBe(PATHS + 40);
    expect(report?.coverage).toMatchObject({ lowerBound: true, gaps: 0 });
    expect(report?.coverage.withoutDetails).toBeGreaterThan(PATHS - 1100);
    expect(report?.coverage.recent?.[0]).toMatchObject({ kind: "MemoryLimit" });
    // The newest of the flood are known, too.
    const newest = `/tmp-x/${toLetters(PATHS - 1)}`;
    expect(report?.violations.map(({ resource }) => resource)).toContain(newest);
    expect(s.pipeline.aggregator.stats.violations).toBeLessThanOrEqual(1040);
    expect(mostBytes).toBeLessThan(1040 * 4000);
    expect(s.pipeline.aggregator.stats.withoutDetails).toBe(0);
    expect(findProblems(s)).toEqual([]);
  }, 600_000);

  it("while nothing can be written, hold no more than the bound", async () => {
    const s = await startSimulation({ options: { memory: MEMORY_OF_TEST } });
    await s.pipeline.controller.suspend();
    for (let i = 0; i < 5000; i++) {
      s.pipeline.onAlert(alert({ Operation: "File", Resource: `/tmp-x/${toLetters(i)}`, HostPID: i }), 0);
    }
    expect(s.pipeline.aggregator.stats.violations).toBeLessThanOrEqual(1000);
    expect(s.pipeline.aggregator.stats.unwritten).toBe(5000);
    s.pipeline.controller.start();
    await s.stop();
    expect(s.store.get(KEY)?.summary.occurrences).toBe(5000);
    expect(findProblems(s)).toEqual([]);
  });
});

describe("at the bounds over all reports", () => {
  it("who has one violation keeps it, and who has the most gives way", async () => {
    const s = await startSimulation({ options: { memory: { ...MEMORY, maxViolations: 200 } } });
    for (let i = 0; i < 50; i++) {
      s.pipeline.onAlert(alert({ PolicyName: `policy-${toLetters(i)}`, Resource: "/bin/one", HostPID: i }), 0);
    }
    for (let i = 0; i < 1000; i++) {
      s.pipeline.onAlert(alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, HostPID: i }), 0);
    }
    expect(s.pipeline.aggregator.stats.violations).toBeLessThanOrEqual(200);
    await s.stop();
    const whole = s.store.reports.filter(({ omitted }) => omitted === undefined);
    expect(whole.map(({ summary }) => summary.violations)).toEqual(Array.from({ length: 50 }, () => 1));
    expect(findProblems(s)).toEqual([]);
  });

  it("the weight bounds as well as the number", async () => {
    const s = await startSimulation({ options: { memory: { ...MEMORY, limitBytes: 200_000 } } });
    for (let i = 0; i < 2000; i++) {
      s.pipeline.onAlert(alert({ Operation: "File", Resource: `/x/${toLetters(i)}`, HostPID: i }), 0);
      expect(s.pipeline.aggregator.stats.bytes).toBeLessThan(210_000);
    }
    await s.stop();
    expect(findProblems(s)).toEqual([]);
  });

  it("an alert that would begin a report too many is rejected, and counted", async () => {
    const s = await startSimulation({ options: { memory: { ...MEMORY, maxReports: 3 } } });
    for (let i = 0; i < 5; i++) s.pipeline.onAlert(alert({ PolicyName: `policy-${i}x`, HostPID: i }), 0);
    expect(s.pipeline.counters).toMatchObject({ received: 5, counted: 3, rejected: { too_many_reports: 2 } });
    await s.stop();
    expect(s.store.reports).toHaveLength(3);
    expect(findProblems(s)).toEqual([]);
  });

  it("a namespace with ever new policies leaves room for the reports of the others", async () => {
    const memory = { ...MEMORY, maxReports: 20, maxReportsPerNamespace: 10 };
    const s = await startSimulation({ options: { memory } });
    for (let i = 0; i < 30; i++) s.pipeline.onAlert(alert({ PolicyName: `policy-${i}x`, HostPID: i }), 0);
    for (let i = 0; i < 12; i++) {
      const namespace = `ns-${toLetters(i)}`;
      s.pipeline.onAlert(alert({ NamespaceName: namespace, OwnerNamespace: namespace, HostPID: i }), 0);
    }
    expect(s.pipeline.counters).toMatchObject({
      received: 42,
      counted: 20,
      rejected: { too_many_reports: 2, too_many_reports_in_namespace: 20 },
    });
    await s.stop();
    expect(s.store.reports.filter(({ metadata }) => metadata.namespace === "shop")).toHaveLength(10);
    // A report that is no more makes room.
    s.pipeline.controller.start();
    const [first] = s.store.reports.filter(({ metadata }) => metadata.namespace === "shop");
    s.store.removeAsUser(`shop/${first?.metadata.name}`);
    s.disconnect();
    await s.clock.advance(60_000);
    s.pipeline.onAlert(alert({ PolicyName: "another", HostPID: 99 }), 0);
    expect(s.pipeline.counters).toMatchObject({ counted: 21 });
  });
});
