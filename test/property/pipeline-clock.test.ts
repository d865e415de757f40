// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The pipeline while the wall clock is set: writes go by monotonic time.

import { describe, expect, it } from "vitest";
import { alert, START_MS } from "../support/gen.ts";
import { problemsOf, Simulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";
const FILE = { Operation: "File", Resource: "/etc/shadow", Result: "Passed" };
const HOUR_MS = 3_600_000;

describe.each([-HOUR_MS, HOUR_MS, -400 * 24 * HOUR_MS])("a wall clock that is set by %d ms", (byMs) => {
  it("stops no report", async () => {
    const s = new Simulation();
    await s.start();
    s.pipeline.onAlert(alert({ HostPID: 1 }), 0);
    await s.clock.advance(10_000);
    expect(s.store.get(KEY)?.summary.occurrences).toBe(1);
    s.clock.stepWall(byMs);
    s.pipeline.onAlert(alert({ HostPID: 2 }), 0);
    s.pipeline.onAlert(alert(FILE, { HostPID: 3 }), 0);
    await s.clock.advance(60_000);
    expect(s.store.get(KEY)?.summary.occurrences).toBe(3);
    expect(s.results.length).toBeLessThanOrEqual(3);
    expect(problemsOf(s)).toEqual([]);
  });

  it("stops no new report beyond the burst", async () => {
    const s = new Simulation();
    await s.start();
    s.clock.stepWall(byMs);
    for (let n = 0; n < 100; n++) s.pipeline.onAlert(alert({ PolicyName: `p${n}` }), 0);
    await s.clock.advance(10_000);
    expect(s.store.reports.length).toBe(100);
  });

  it("changes no retry", async () => {
    const s = new Simulation({ faults: new Map([[1, "retry_before"]]) });
    await s.start();
    s.pipeline.onAlert(alert(), 0);
    await s.clock.advance(300);
    s.clock.stepWall(byMs);
    await s.clock.advance(5000);
    expect(s.results.map(({ kind }) => kind)).toEqual(["retry", "written"]);
    expect(s.clock.monotonicMs()).toBe(START_MS + 5300);
  });
});
