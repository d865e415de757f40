// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A violation that is not seen for long leaves its report, and a report with nothing left is deleted; no count goes down before.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { runAtOnce } from "../../src/lib/pacing/steps.ts";
import { FAULTS, type Fault } from "../support/fault-sink.ts";
import { alert, formatTimeAt, hostAlert } from "../support/gen.ts";
import { findProblems, type Simulation, startSimulation } from "./pipeline-simulation.ts";

const KEY = "shop/no-package-managers";
const MINUTE = 60_000;
const OPTIONS = { retention: { retentionMs: 60 * MINUTE, sweepMs: 10 * MINUTE } };
const FILE = { Operation: "File", Resource: "/etc/shadow", Result: "Passed" };

function readReport(s: Simulation): Pick<Report, "summary" | "expired" | "omitted"> & { ids: number } {
  const report = s.store.get(KEY);
  if (!report) throw new Error("no report");
  const { summary, expired, omitted, violations } = report;
  return { summary, ids: violations.length, ...(expired ? { expired } : {}), ...(omitted ? { omitted } : {}) };
}

/** One violation at the start, another one 50 minutes later. */
async function sendTwo(s: Simulation): Promise<void> {
  await s.sendAndWait(50 * MINUTE, alert());
  s.send(alert(FILE, { UpdatedTime: formatTimeAt(50 * MINUTE) }));
}

function startSweeping(faults?: ReadonlyMap<number, Fault>): Promise<Simulation> {
  return startSimulation({ options: OPTIONS, ...(faults ? { faults } : {}) });
}

describe("a violation that is not seen for long", () => {
  it("leaves the list and the memory, and its counts stay", async () => {
    const s = await startSweeping();
    await s.sendAndWait(50 * MINUTE, alert({ HostPID: 1 }), alert({ HostPID: 2 }));
    await s.sendAndWait(11 * MINUTE, alert(FILE, { UpdatedTime: formatTimeAt(50 * MINUTE) }));
    expect(readReport(s)).toMatchObject({ ids: 2, summary: { occurrences: 3, violations: 2 } });
    expect(readReport(s).expired).toBeUndefined();
    await s.clock.advance(10 * MINUTE);
    expect(readReport(s)).toMatchObject({
      ids: 1,
      expired: { violations: 1, occurrences: 2 },
      summary: { occurrences: 3, prevented: 2, allowed: 1, violations: 2, firstSeen: formatTimeAt(0) },
    });
    expect(readReport(s).omitted).toBeUndefined();
    expect(s.pipeline.aggregator.stats).toMatchObject({ violations: 1, expired: 1 });
    expect(findProblems(s)).toEqual([]);
  });

  it("is listed again when it is seen again, and says that it may have been there before", async () => {
    const s = await startSweeping();
    await sendTwo(s);
    await s.clock.advance(21 * MINUTE);
    await s.sendAndWait(MINUTE, alert({ UpdatedTime: formatTimeAt(71 * MINUTE) }));
    const [again] = s.store.get(KEY)?.violations ?? [];
    expect(again).toMatchObject({ occurrences: 1, lowerBound: true, firstSeen: formatTimeAt(71 * MINUTE) });
    expect(readReport(s)).toMatchObject({ expired: { violations: 1, occurrences: 1 }, summary: { occurrences: 3 } });
    expect(findProblems(s)).toEqual([]);
  });

  it("stays while something of it is unwritten, and where nothing is to be forgotten", async () => {
    const s = await startSweeping();
    await sendTwo(s);
    await s.clock.advance(MINUTE);
    void s.pipeline.controller.suspend();
    await s.sendAndWait(80 * MINUTE, alert({ UpdatedTime: formatTimeAt(1) }));
    // A replica that does not write does not sweep.
    expect(s.pipeline.aggregator.stats.expired).toBe(0);
    runAtOnce(s.pipeline.aggregator.expire(Number.MAX_SAFE_INTEGER, 0));
    expect(s.pipeline.aggregator.stats.violations).toBe(1);
    s.pipeline.controller.start();
    await s.stop();
    expect(readReport(s)).toMatchObject({ ids: 1, expired: { violations: 1, occurrences: 1 } });
    expect(findProblems(s)).toEqual([]);
    const keptForGood = await startSimulation();
    await keptForGood.sendAndWait(1000 * 24 * 60 * MINUTE, alert());
    expect(keptForGood.store.get(KEY)?.violations).toHaveLength(1);
  });

  it("goes on from where the process before left", async () => {
    const s = await startSweeping();
    await sendTwo(s);
    await s.clock.advance(21 * MINUTE);
    await s.stop();
    const next = await startSimulation({ store: s.store, clock: s.clock, options: OPTIONS });
    // Not at once: first a person may look at what the new process found.
    expect(next.store.get(KEY)?.violations).toHaveLength(1);
    await next.sendAndWait(61 * MINUTE, alert({ UpdatedTime: formatTimeAt(71 * MINUTE) }));
    expect(readReport(next)).toMatchObject({
      ids: 1,
      expired: { violations: 2, occurrences: 2 },
      summary: { occurrences: 3, violations: 3 },
    });
    expect(findProblems(next, false)).toEqual([]);
  });
});

describe("a report with nothing left", () => {
  it("is deleted, and another begins at zero", async () => {
    const s = await startSweeping();
    await s.sendAndWait(65 * MINUTE, alert());
    await s.sendAndWait(6 * MINUTE, hostAlert({ UpdatedTime: formatTimeAt(65 * MINUTE) }));
    expect(s.store.get(KEY)).toBeUndefined();
    expect(s.store.get("/host-files")).toBeDefined();
    expect(s.pipeline.aggregator.ledgers.size).toBe(1);
    expect(s.pipeline.controller.removed).toBe(1);
    await s.sendAndWait(MINUTE, alert({ UpdatedTime: formatTimeAt(72 * MINUTE) }));
    expect(readReport(s)).toMatchObject({ ids: 1, summary: { occurrences: 1, firstSeen: formatTimeAt(72 * MINUTE) } });
    expect(s.store.get(KEY)?.violations[0]?.lowerBound).toBeUndefined();
    expect(findProblems(s)).toEqual([]);
  });

  it("stays when a person edits it at that moment, until the next sweep", async () => {
    const s = await startSweeping(new Map([[2, "foreign_counts"]]));
    await s.sendAndWait(61 * MINUTE, alert());
    expect(s.sink.calls).toBe(1);
    await s.clock.advance(10 * MINUTE);
    expect(s.sink.hit).toEqual(["foreign_counts"]);
    expect(readReport(s).summary.occurrences).toBe(8);
    await s.clock.advance(11 * MINUTE);
    expect(s.store.reports).toEqual([]);
  });

  it.each(FAULTS)("(%s while it is deleted) loses and doubles nothing", async (fault) => {
    for (const call of [2, 3, 4]) {
      const s = await startSweeping(new Map([[call, fault]]));
      await s.sendAndWait(70 * MINUTE - 1, alert());
      // The alert comes while the deletion is under way.
      const late = alert({ UpdatedTime: formatTimeAt(70 * MINUTE) });
      const { store } = s;
      const remove = store.remove.bind(store);
      store.remove = async (...args) => {
        s.pipeline.onAlert(late, 0);
        store.remove = remove;
        return await remove(...args);
      };
      await s.clock.advance(20 * MINUTE);
      await s.stop();
      expect(findProblems(s)).toEqual([]);
      expect(s.pipeline.aggregator.stats.unwritten).toBe(0);
    }
  });
});
