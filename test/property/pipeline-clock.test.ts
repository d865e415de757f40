// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The pipeline while the wall clock is set: writes go by monotonic time.

import { describe, expect, it } from "vitest";
import { FakeClock } from "../support/fake-clock.ts";
import { alert, formatTimeAt, START_MS } from "../support/gen.ts";
import type { MemorySink } from "../support/memory-sink.ts";
import { findProblems, Simulation, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";
const FILE = { Operation: "File", Resource: "/etc/shadow", Result: "Passed" };
const HOUR_MS = 3_600_000;

describe.each([-HOUR_MS, HOUR_MS, -400 * 24 * HOUR_MS])("a wall clock that is set by %d ms", (byMs) => {
  it("stops no report", async () => {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert({ HostPID: 1 }));
    expect(s.store.get(KEY)?.summary.occurrences).toBe(1);
    s.clock.stepWall(byMs);
    await s.sendAndWait(60_000, alert({ HostPID: 2 }), alert(FILE, { HostPID: 3 }));
    expect(s.store.get(KEY)?.summary.occurrences).toBe(3);
    expect(s.results.length).toBeLessThanOrEqual(3);
    expect(findProblems(s)).toEqual([]);
  });

  it("stops no new report beyond the burst", async () => {
    const s = await startSimulation();
    s.clock.stepWall(byMs);
    for (let n = 0; n < 100; n++) s.pipeline.onAlert(alert({ PolicyName: `p${n}` }), 0);
    await s.clock.advance(10_000);
    expect(s.store.reports.length).toBe(100);
  });

  it("changes no retry", async () => {
    const s = await startSimulation({ faults: new Map([[1, "retry_before"]]) });
    await s.sendAndWait(300, alert());
    s.clock.stepWall(byMs);
    await s.clock.advance(5000);
    expect(s.results.map(({ kind }) => kind)).toEqual(["retry", "written"]);
    expect(s.clock.elapsedMs).toBe(5300);
  });
});

describe("retention", () => {
  const DAY_MS = 24 * HOUR_MS;
  const OPTIONS = { retention: { retentionMs: 30 * DAY_MS, sweepMs: HOUR_MS } };

  /** A report from an earlier process. */
  async function storeReport(): Promise<MemorySink> {
    const s = await startSimulation();
    await s.sendAndWait(10_000, alert());
    return s.store;
  }

  it("deletes nothing when the clock jumps ahead for a moment", async () => {
    const store = await storeReport();
    const s = await startSimulation({ store, options: OPTIONS });
    await s.clock.advance(HOUR_MS - 1000);
    s.clock.stepWall(40 * DAY_MS);
    await s.clock.advance(2000);
    s.clock.stepWall(-40 * DAY_MS);
    await s.clock.advance(3 * HOUR_MS);
    expect(store.get(KEY)?.summary.occurrences).toBe(1);
  });

  it("deletes nothing while the API server's clock does not agree, or was set, and the report one sweep later", async () => {
    const store = await storeReport();
    let stepMs = 0;
    const clock = new FakeClock(START_MS);
    const s = new Simulation({ store, clock, options: OPTIONS, otherNowMs: () => START_MS + clock.elapsedMs + stepMs });
    s.clock.stepWall(40 * DAY_MS);
    await s.start();
    await s.clock.advance(3 * HOUR_MS + 1000);
    expect(store.get(KEY)?.summary.occurrences).toBe(1);
    stepMs = 40 * DAY_MS;
    await s.clock.advance(HOUR_MS + 60_000);
    expect(store.get(KEY)?.summary.occurrences).toBe(1);
    await s.clock.advance(HOUR_MS);
    expect(store.reports).toEqual([]);
  });

  it("keeps an active report on a node with a clock 31 days behind", async () => {
    const s = await startSimulation({ options: OPTIONS });
    for (let n = 0; n < 30; n++) {
      await s.sendAndWait(600_000, alert({ HostPID: n + 1, UpdatedTime: formatTimeAt(n * 600_000 - 31 * DAY_MS) }));
    }
    await s.clock.advance(120_000);
    expect(s.store.get(KEY)?.summary.occurrences).toBe(30);
    expect(s.store.get(KEY)?.expired).toBeUndefined();
  });

  it("keeps a report of a node with a clock 31 days behind after a restart until it is old itself", async () => {
    const first = await startSimulation();
    await first.sendAndWait(10_000, alert({ UpdatedTime: formatTimeAt(-31 * DAY_MS) }));
    await first.stop();
    const s = await startSimulation({ store: first.store, clock: first.clock, options: OPTIONS });
    await s.clock.advance(29 * DAY_MS);
    expect(s.store.get(KEY)?.summary.occurrences).toBe(1);
    expect(s.store.get(KEY)?.expired).toBeUndefined();
    await s.clock.advance(2 * DAY_MS);
    expect(s.store.reports).toEqual([]);
  });

  it("counts the age of what this process wrote by monotonic time", async () => {
    const s = await startSimulation({ options: { retention: { retentionMs: 5 * HOUR_MS, sweepMs: HOUR_MS } } });
    await s.sendAndWait(5 * HOUR_MS + 60_000, alert({ UpdatedTime: formatTimeAt(-31 * DAY_MS) }));
    expect(s.store.reports).toHaveLength(1);
    await s.clock.advance(HOUR_MS);
    expect(s.store.reports).toEqual([]);
  });
});
