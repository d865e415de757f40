// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A short gap of the stream is stated once, on the Lease, and a quiet report gets it with its next write: no report is
// written for it at once, and none lacks it after a takeover.

import { describe, expect, it } from "vitest";
import type { StatedGap } from "../../src/aggregate/gaps/stated-gaps.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { PreviousLeader } from "../../src/leadership/takeover-parts.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { alert, formatTimeAt, LIMITS, START_MS } from "../support/gen.ts";
import type { MemorySink } from "../support/memory-sink.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation } from "./pipeline-simulation.ts";

const STANDBY = { maxAlerts: 4000, maxCells: 400, maxPodsPerViolation: LIMITS.maxPodsPerViolation, overlapMs: 10_000 };
const HOUR_MS = 3_600_000;
const REPORTS = 100;

async function startLeader(
  { writerId, ...parts }: { store?: MemorySink; clock?: FakeClock; writerId: string },
  previous?: PreviousLeader,
): Promise<Simulation> {
  const s = new Simulation({ ...parts, options: { standby: STANDBY, writerId } });
  s.pipeline.onConnected();
  await s.clock.advance(previous ? 20_000 : 0);
  await s.settleWhile(s.pipeline.load(SIGNAL, previous));
  s.pipeline.controller.start();
  return s;
}

/** A leader with reports that nothing happens in. */
async function startQuiet(): Promise<Simulation> {
  const s = await startLeader({ writerId: "a" });
  for (let n = 0; n < REPORTS; n++) s.send(alert({ PolicyName: `p${n}` }));
  await s.clock.advance(150_000);
  return s;
}

async function loseStream(s: Simulation, forMs: number): Promise<void> {
  s.disconnect();
  await s.clock.advance(forMs);
  s.pipeline.onConnected();
}

function sendNow(s: Simulation, policy: string): void {
  s.send(alert({ PolicyName: policy, HostPID: s.clock.elapsedMs, UpdatedTime: formatTimeAt(s.clock.elapsedMs) }));
}

function countMarked(store: MemorySink): number {
  return store.reports.filter(({ coverage }) => coverage.lowerBound).length;
}

function getRecent(report: Report | undefined): unknown {
  return report?.coverage.recent?.map(({ kind, seconds }) => [kind, seconds]);
}

describe("a gap of a second", () => {
  it("has no quiet report written within the hour; it is stated, and goes with the next write of a report", async () => {
    const s = await startQuiet();
    const before = s.store.writes;
    await loseStream(s, 1000);
    const { stated } = s.pipeline.aggregator.gaps.late;
    expect(stated.list).toMatchObject([{ kind: "StreamDown", fromUs: (START_MS + 149_900) * 1000 }]);
    await s.clock.advance(300_000);
    expect(s.store.writes).toBe(before);
    sendNow(s, "p0");
    sendNow(s, "later");
    await s.clock.advance(30_000);
    expect(s.store.writes).toBe(before + 2);
    expect(getRecent(s.store.get("shop/p0"))).toEqual([["StreamDown", 2]]);
    expect(s.store.get("shop/later")?.coverage).toMatchObject({ gaps: 0, lowerBound: false });
    await s.clock.advance(HOUR_MS);
    expect(s.store.writes).toBe(before + 2 + REPORTS - 1);
    expect(countMarked(s.store)).toBe(REPORTS);
    expect(s.store.reports.every(({ coverage }) => coverage.gaps <= 1)).toBe(true);
  });

  it("does not keep a successor waiting: everything counted is persisted", async () => {
    const s = await startQuiet();
    const isPersisted = () => (s.pipeline.takeover.persistedUntilMs ?? 0) >= s.clock.nowMs();
    expect(isPersisted()).toBe(true);
    s.disconnect();
    await s.clock.advance(1000);
    // While it lasts it is in no report, and not stated.
    expect(s.pipeline.takeover.persistedUntilMs).toBe(START_MS + 149_900);
    s.pipeline.onConnected();
    expect(isPersisted()).toBe(true);
  });

  it("again and again has every report written at last", async () => {
    const s = await startQuiet();
    const before = s.store.writes;
    for (let n = 0; n < 20; n++) {
      await loseStream(s, 1000);
      await s.clock.advance(5000);
    }
    await s.clock.advance(120_000);
    expect(countMarked(s.store)).toBe(REPORTS);
    expect(s.store.writes).toBeLessThanOrEqual(before + 4 * REPORTS);
  });

  it("is written by a stop", async () => {
    const s = await startQuiet();
    await loseStream(s, 1000);
    await s.stop();
    expect(countMarked(s.store)).toBe(REPORTS);
  });

  it("without a Lease is stated nowhere, however many there are", async () => {
    const s = new Simulation();
    await s.start();
    await s.sendAndWait(150_000, alert());
    for (let n = 0; n < 20; n++) {
      await loseStream(s, 1000);
      await s.clock.advance(26 * HOUR_MS);
    }
    const { stated } = s.pipeline.aggregator.gaps.late;
    expect([stated.size, stated.overflows]).toEqual([0, 0]);
    expect(s.store.reports[0]?.coverage.gaps).toBe(20);
  });

  it("in which the process stalled is one", async () => {
    const s = await startQuiet();
    const before = s.store.writes;
    s.pipeline.onEventLoopStall(6000);
    await s.clock.advance(120_000);
    expect(s.store.writes).toBe(before);
    expect(s.pipeline.aggregator.gaps.late.stated.list).toMatchObject([{ kind: "Stalled" }]);
    await s.stop();
    expect(s.store.reports.every((report) => JSON.stringify(getRecent(report)) === '[["Stalled",6]]')).toBe(true);
  });
});

describe("a gap that lasts", () => {
  it("is in every report after half of maxIntervalMs, and its end as well", async () => {
    const s = await startQuiet();
    s.disconnect();
    await s.clock.advance(40_000);
    const areOpen = s.store.reports.map(({ coverage }) => coverage.recent?.map(({ kind, to }) => [kind, to]));
    expect(areOpen).toEqual(Array(REPORTS).fill([["StreamDown", undefined]]));
    s.pipeline.onConnected();
    await s.clock.advance(60_000);
    expect(s.store.reports.every((report) => JSON.stringify(getRecent(report)) === '[["StreamDown",41]]')).toBe(true);
  });
});

describe("a takeover", () => {
  /** The leader dies after a gap; the successor has read all the time. */
  async function takeOver(statedGaps: readonly StatedGap[] | undefined): Promise<Simulation> {
    const first = await startQuiet();
    const { clock, store } = first;
    const next = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "b" } });
    next.pipeline.onConnected();
    await clock.advance(20_000);
    await loseStream(first, 1000);
    await clock.advance(10_000);
    sendNow(first, "p0");
    sendNow(first, "later");
    await clock.advance(60_000);
    const persistedUntilMs = first.pipeline.takeover.persistedUntilMs;
    const stated = statedGaps ?? first.pipeline.aggregator.gaps.late.stated.list;
    await first.pipeline.controller.suspend();
    first.disconnect();
    await next.settleWhile(next.pipeline.load(SIGNAL, { persistedUntilMs, statedGaps: stated }));
    next.pipeline.controller.start();
    return next;
  }

  it("continues the gap in the reports that lack it, and in no other", async () => {
    const next = await takeOver(undefined);
    const before = next.store.writes;
    await next.clock.advance(60_000);
    expect(next.store.writes).toBe(before);
    sendNow(next, "p1");
    sendNow(next, "new");
    await next.clock.advance(30_000);
    expect(getRecent(next.store.get("shop/p1"))).toEqual([["StreamDown", 2]]);
    await next.clock.advance(HOUR_MS + 60_000);
    expect(countMarked(next.store)).toBe(REPORTS);
    for (const policy of ["later", "new"]) {
      expect(next.store.get(`shop/${policy}`)?.coverage).toMatchObject({ gaps: 0, lowerBound: false });
    }
    expect(next.store.reports.every(({ coverage }) => coverage.gaps <= 1)).toBe(true);
    expect(next.pipeline.aggregator.gaps.late.stated.size).toBe(1);
  });

  it("after more than a day continues the gap in a report of which no write was accepted since", async () => {
    const s = await startQuiet();
    const { clock, store } = s;
    const accept = store.write.bind(store);
    store.write = async (report, signal) =>
      report.policy.name === "p0" ? { kind: "refused", message: "injected" } : await accept(report, signal);
    const isStated = () => s.pipeline.aggregator.gaps.late.stated.list.some(({ fromUs }) => fromUs === firstUs);
    const firstUs = (START_MS + 149_900) * 1000;
    /** Asks as each renewal of the Lease does. */
    const renew = () => s.pipeline.takeover.persistedUntilMs;
    await loseStream(s, 1000);
    for (let hours = 0; hours < 26; hours++) {
      renew();
      await clock.advance(HOUR_MS);
    }
    await loseStream(s, 1000);
    expect(isStated()).toBe(true);
    const next = new Simulation({ store, clock, options: { standby: STANDBY, writerId: "b" } });
    next.pipeline.onConnected();
    await clock.advance(20_000);
    const previous = { persistedUntilMs: renew(), statedGaps: s.pipeline.aggregator.gaps.late.stated.list };
    await s.pipeline.controller.suspend();
    s.disconnect();
    store.write = accept;
    await next.settleWhile(next.pipeline.load(SIGNAL, previous));
    next.pipeline.controller.start();
    sendNow(next, "p0");
    await clock.advance(60_000);
    const gaps = store.get("shop/p0")?.coverage.recent?.map(({ from }) => Date.parse(from) * 1000);
    expect(gaps).toContain(firstUs);
  });

  it("states a gap no longer once a day has passed and every report is written", async () => {
    const s = await startQuiet();
    await loseStream(s, 1000);
    for (let hours = 0; hours < 26; hours++) {
      expect(s.pipeline.takeover.persistedUntilMs).toBeDefined();
      await s.clock.advance(HOUR_MS);
    }
    expect(s.pipeline.takeover.persistedUntilMs).toBe(s.clock.nowMs());
    expect(s.pipeline.aggregator.gaps.late.stated.size).toBe(0);
  });

  it("without what the Lease states would leave them without the gap", async () => {
    const next = await takeOver([]);
    await next.clock.advance(HOUR_MS + 60_000);
    expect(countMarked(next.store)).toBe(1);
  });
});
