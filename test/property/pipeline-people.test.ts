// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes by people to reports and namespaces while the program runs.

import { describe, expect, it } from "vitest";
import { MANAGED_BY_LABEL } from "../../src/api/names.ts";
import { alert, formatTimeAt, hostAlert } from "../support/gen.ts";
import { findProblems, type Simulation, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";

/** Lets time pass until this number of writes have reached the store. */
async function waitForWrite(s: Simulation, count: number): Promise<void> {
  while (s.store.history.length < count) await s.clock.advance(1);
}

describe("people", () => {
  it("who delete a report see it start again from zero, and a gap alone does not bring it back", async () => {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert({ HostPID: 1 }), alert({ HostPID: 2 }));
    s.store.removeAsUser(KEY);
    s.disconnect();
    await s.clock.advance(20_000);
    s.pipeline.onConnected();
    await s.clock.advance(60_000);
    expect(s.store.reports).toEqual([]);
    expect(s.pipeline.aggregator.ledgers.size).toBe(0);
    expect(s.pipeline.aggregator.stats.violations).toBe(0);
    await s.sendAndWait(1000, alert({ HostPID: 3, UpdatedTime: formatTimeAt(90_000) }));
    expect(s.store.get(KEY)?.summary).toMatchObject({ occurrences: 1, firstSeen: "2026-11-23T10:01:30.000000Z" });
    expect(s.store.get(KEY)?.coverage).toMatchObject({ gaps: 0, lowerBound: true });
    expect(findProblems(s)).toEqual([]);
    // The deletion was noticed when there was nothing to report.
    await s.clock.advance(10_000);
    expect(s.store.get(KEY)?.coverage.recent).toMatchObject([{ kind: "Deleted", from: formatTimeAt(0), count: 2 }]);
  });

  it("who delete a report find that in the next one: from when, until when, and how many occurrences", async () => {
    const s = await startSimulation();
    await s.sendAndWait(60_000, alert({ HostPID: 1 }), alert({ HostPID: 2 }), alert({ HostPID: 3 }));
    s.store.removeAsUser(KEY);
    await s.sendAndWait(30_000, alert({ HostPID: 4, UpdatedTime: formatTimeAt(60_000) }));
    const report = s.store.get(KEY);
    expect(report?.summary.occurrences).toBe(1);
    expect(report?.coverage).toMatchObject({
      // The counts of the deleted report are missing.
      lowerBound: true,
      recent: [{ kind: "Deleted", from: formatTimeAt(0), to: formatTimeAt(60_200), count: 3 }],
    });
    expect(findProblems(s)).toEqual([]);
  });

  it("who delete a report find that in the first write of the next one", async () => {
    const s = await startSimulation();
    await s.sendAndWait(60_000, alert({ HostPID: 1 }), alert({ HostPID: 2 }), alert({ HostPID: 3 }));
    s.store.removeAsUser(KEY);
    s.send(alert({ HostPID: 4, UpdatedTime: formatTimeAt(60_000) }));
    while (!s.store.get(KEY)) await s.clock.advance(1);
    expect(s.store.get(KEY)).toMatchObject({
      summary: { occurrences: 1 },
      coverage: { lowerBound: true, recent: [{ kind: "Deleted", from: formatTimeAt(0), count: 3 }] },
    });
  });

  it("who delete a report twice, with many gaps in between, do not hide the deletions", async () => {
    const s = await startSimulation();
    await s.sendAndWait(60_000, alert({ HostPID: 1 }), alert({ HostPID: 2 }));
    s.store.removeAsUser(KEY);
    await s.sendAndWait(60_000, alert({ HostPID: 3, UpdatedTime: formatTimeAt(60_000) }));
    s.store.removeAsUser(KEY);
    await s.sendAndWait(60_000, alert({ HostPID: 4, UpdatedTime: formatTimeAt(120_000) }));
    const deletions = () => s.store.get(KEY)?.coverage.recent?.filter(({ kind }) => kind === "Deleted");
    expect(deletions()?.map(({ count }) => count)).toEqual([1, 2]);
    for (let i = 0; i < 12; i++) {
      s.disconnect();
      await s.clock.advance(1000);
      s.pipeline.onConnected();
      await s.clock.advance(60_000);
    }
    expect(s.store.get(KEY)?.coverage.recent).toHaveLength(10);
    expect(deletions()?.map(({ count }) => count)).toEqual([1]);
    expect(findProblems(s)).toEqual([]);
  });

  it("who delete a report that is beyond retention are not needed: its removal is not a deletion", async () => {
    const s = await startSimulation({ options: { retention: { retentionMs: 600_000, sweepMs: 60_000 } } });
    await s.sendAndWait(1_200_000, alert({ HostPID: 1 }));
    expect(s.store.reports).toEqual([]);
    await s.sendAndWait(60_000, alert({ HostPID: 2, UpdatedTime: formatTimeAt(1_200_000) }));
    expect(s.store.get(KEY)?.coverage.recent).toBeUndefined();
  });

  it.each(["unknown_after", "retry_after"] as const)(
    "who delete a report after a write with an unknown result (%s) find every occurrence once in the next one or in its gap",
    async (fault) => {
      const s = await startSimulation({ faults: new Map([[2, fault]]) });
      await s.sendAndWait(60_000, alert({ HostPID: 1 }), alert({ HostPID: 2 }), alert({ HostPID: 3 }));
      s.send(alert({ HostPID: 4, UpdatedTime: formatTimeAt(60_000) }));
      await waitForWrite(s, 2);
      expect(s.store.get(KEY)?.summary.occurrences).toBe(4);
      s.store.removeAsUser(KEY);
      await s.clock.advance(60_000);
      await s.sendAndWait(60_000, alert({ HostPID: 5, UpdatedTime: formatTimeAt(120_000) }));
      expect(s.store.get(KEY)?.summary.occurrences).toBe(2);
      expect(s.store.get(KEY)?.coverage).toMatchObject({ lowerBound: true, recent: [{ kind: "Deleted", count: 3 }] });
    },
  );

  it("who delete a report after a first write with an unknown result find all occurrences in the next one", async () => {
    const s = await startSimulation({ faults: new Map([[1, "unknown_after"]]) });
    s.send(alert({ HostPID: 1 }), alert({ HostPID: 2 }));
    await waitForWrite(s, 1);
    s.store.removeAsUser(KEY);
    await s.clock.advance(60_000);
    expect(s.store.get(KEY)?.summary.occurrences).toBe(2);
    expect(s.store.get(KEY)?.coverage.lowerBound).toBe(false);
    expect(s.sink.calls).toBe(2);
  });

  it.each(Array.from({ length: 12 }, (_, i) => i))(
    "who delete a report just before an alert comes lose nothing, %d steps after the answer",
    async (steps) => {
      const s = await startSimulation();
      await s.sendAndWait(10_000, alert({ HostPID: 1 }));
      s.store.removeAsUser(KEY);
      const write = s.sink.write.bind(s.sink);
      s.sink.write = async (report, signal) => {
        const answer = await write(report, signal);
        let turn = Promise.resolve();
        for (let i = 0; i < steps; i++) turn = turn.then(() => {});
        if (answer.kind === "gone")
          void turn.then(() => s.send(alert({ HostPID: 2, UpdatedTime: formatTimeAt(20_000) })));
        return answer;
      };
      s.disconnect();
      await s.clock.advance(60_000);
      expect(s.store.get(KEY)?.summary.occurrences).toBe(1);
      expect(findProblems(s)).toEqual([]);
    },
  );

  it("who put labels, annotations, finalizers and owners on a report find them there after the next write", async () => {
    const s = await startSimulation();
    await s.sendAndWait(1000, alert({ HostPID: 1 }));
    s.store.edit(KEY, ({ metadata }) => {
      metadata.labels = { ...metadata.labels, team: "blue" };
      metadata.annotations = { ...metadata.annotations, note: "seen" };
      metadata["finalizers"] = ["example.com/keep"];
      metadata["ownerReferences"] = [{ kind: "Thing", name: "x" }];
    });
    await s.sendAndWait(60_000, alert({ HostPID: 2 }));
    const report = s.store.get(KEY);
    expect(report?.summary.occurrences).toBe(2);
    expect(report?.metadata).toMatchObject({
      labels: { team: "blue", [MANAGED_BY_LABEL]: "policy-violation-operator" },
      annotations: { note: "seen", "argocd.argoproj.io/compare-options": "IgnoreExtraneous" },
      finalizers: ["example.com/keep"],
      ownerReferences: [{ kind: "Thing", name: "x" }],
    });
  });

  it("who take our label or annotations off get them back", async () => {
    const s = await startSimulation();
    await s.sendAndWait(1000, alert({ HostPID: 1 }));
    s.store.edit(KEY, ({ metadata }) => {
      metadata.labels = {};
      metadata.annotations = {};
    });
    await s.sendAndWait(60_000, alert({ HostPID: 2 }));
    expect(s.store.get(KEY)?.summary.occurrences).toBe(2);
    expect(s.store.get(KEY)?.metadata.labels).toEqual({ [MANAGED_BY_LABEL]: "policy-violation-operator" });
  });

  it("who delete a namespace find what came too late in the cluster report", async () => {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert({ HostPID: 1 }));
    s.disconnect();
    s.pipeline.onConnected();
    s.store.removeNamespace("shop");
    s.send(
      alert({ HostPID: 2, UpdatedTime: formatTimeAt(10_000) }),
      alert({ HostPID: 3, UpdatedTime: formatTimeAt(11_000) }),
    );
    await s.clock.advance(60_000);
    const [report, ...others] = s.store.reports;
    expect(others).toEqual([]);
    expect(report?.metadata.namespace).toBeUndefined();
    expect(report?.summary).toMatchObject({ occurrences: 2, pods: 1, nodes: 1 });
    expect(report?.violations[0]).toMatchObject({
      namespace: "shop",
      node: "node-1",
      workload: { kind: "Deployment", name: "web" },
      occurrences: 2,
    });
    // Losses from before the namespace's deletion are still declared.
    expect(report?.coverage).toMatchObject({ gaps: 1, lowerBound: true });
    expect(findProblems(s)).toEqual([]);
  });

  it("who delete a namespace with pods that go on for a while cause few writes", async () => {
    const s = await startSimulation();
    s.store.removeNamespace("shop");
    for (let i = 0; i < 600; i++) {
      await s.sendAndWait(100, alert({ HostPID: i, UpdatedTime: formatTimeAt(i * 100) }));
    }
    await s.stop();
    expect(s.store.occurrences).toBe(600);
    expect(s.store.get("/no-package-managers")?.violations[0]?.occurrences).toBe(600);
    expect(s.sink.calls).toBeLessThan(60);
    expect(findProblems(s)).toEqual([]);
  });
});

it("refusals are reported while they last, and nothing is lost", async () => {
  const s = await startSimulation({ faults: new Map([[1, "refused"]]) });
  await s.sendAndWait(1000, alert({ HostPID: 1 }));
  expect(s.pipeline.controller.refusals).toEqual(["injected"]);
  expect(s.pipeline.aggregator.stats.unwritten).toBe(1);
  await s.sendAndWait(1000, hostAlert(), alert({ HostPID: 2 }));
  // Another report that is written says nothing about this one.
  expect(s.store.get("/host-files")).toBeDefined();
  expect(s.pipeline.controller.refusals).toEqual(["injected"]);
  await s.clock.advance(30_000);
  expect(s.pipeline.controller.refusals).toEqual([]);
  expect(s.store.get(KEY)?.summary.occurrences).toBe(2);
});
