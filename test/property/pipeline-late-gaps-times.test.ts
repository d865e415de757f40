// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Times of late gaps: a kill at the worst moment, a clock that is set back, and counts that leave for another report lose
// no gap, and give it no wrong time.

import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { PreviousLeader } from "../../src/leadership/takeover-parts.ts";
import { alert, formatTimeAt, LIMITS, START_MS } from "../support/gen.ts";
import { SIGNAL } from "../support/signal.ts";
import { Simulation } from "./pipeline-simulation.ts";

const STANDBY = { maxAlerts: 4000, maxCells: 400, maxPodsPerViolation: LIMITS.maxPodsPerViolation, overlapMs: 10_000 };
const HOUR_MS = 3_600_000;
/** Call of the write after those of three reports. */
const NEXT_WRITE = 4;

async function lead(s: Simulation, previous?: PreviousLeader): Promise<void> {
  await s.settleWhile(s.pipeline.load(SIGNAL, previous));
  s.pipeline.controller.start();
}

/** A leader with reports that nothing happens in. */
async function startQuiet(
  parts?: Pick<ConstructorParameters<typeof Simulation>[0] & object, "faults">,
  reports = 3,
): Promise<Simulation> {
  const s = new Simulation({ ...parts, options: { standby: STANDBY, writerId: "a" } });
  s.pipeline.onConnected();
  await lead(s);
  for (let n = 0; n < reports; n++) s.send(alert({ PolicyName: `p${n}` }));
  await s.clock.advance(150_000);
  return s;
}

function createStandby({ store, clock }: Simulation): Simulation {
  return new Simulation({ store, clock, options: { standby: STANDBY, writerId: "b" } });
}

/** A leader, and a standby that has read for a while. */
async function startBoth(): Promise<[leader: Simulation, standby: Simulation]> {
  const a = await startQuiet();
  const b = createStandby(a);
  b.pipeline.onConnected();
  await a.clock.advance(20_000);
  return [a, b];
}

async function loseStream(s: Simulation, forMs: number, reason: "error" | "node_down" = "error"): Promise<void> {
  s.disconnect(reason);
  await s.clock.advance(forMs);
  s.pipeline.onConnected({ nodes: 3 });
}

/** What the Lease says of a leader. */
function readLease({ pipeline }: Simulation): PreviousLeader {
  const { aggregator, takeover } = pipeline;
  return { persistedUntilMs: takeover.persistedUntilMs, statedGaps: aggregator.gaps.late.stated.list };
}

/** The leader ends without a word; the other one leads, and everything is written. */
async function takeOver(a: Simulation, b: Simulation, lease = readLease(a)): Promise<void> {
  await a.pipeline.controller.suspend();
  await lead(b, lease);
  await b.clock.advance(HOUR_MS + 60_000);
}

function sendNow(s: Simulation, policy: string): void {
  s.send(alert({ PolicyName: policy, HostPID: s.clock.elapsedMs, UpdatedTime: formatTimeAt(s.clock.elapsedMs) }));
}

function getEnds(report: Report | undefined): (number | undefined)[] | undefined {
  return report?.coverage.recent?.map(({ to }) => (to === undefined ? undefined : Date.parse(to) - START_MS));
}

function countGaps({ store }: Simulation): number[] {
  return store.reports.map(({ coverage }) => coverage.gaps);
}

describe("a gap that lasts", () => {
  it("is after what is persisted until all reports have it, so that a standby that came later marks them", async () => {
    const a = await startQuiet();
    const b = createStandby(a);
    const fromMs = a.clock.nowMs() - 100;
    a.disconnect();
    await a.clock.advance(10_000);
    b.pipeline.onConnected();
    for (let n = 0; n < 20; n++) {
      await a.clock.advance(1000);
      expect(readLease(a).persistedUntilMs).toBeCloseTo(fromMs, 3);
    }
    expect(countGaps(a)).toEqual([0, 0, 0]);
    await takeOver(a, b);
    expect(countGaps(b)).toEqual([1, 1, 1]);
  });

  it("no longer is once they have it", async () => {
    const a = await startQuiet();
    a.disconnect();
    await a.clock.advance(60_000);
    expect(countGaps(a)).toEqual([1, 1, 1]);
    expect(readLease(a).persistedUntilMs).toBe(a.clock.nowMs());
  });

  it("ends in the cluster report that gets the counts of a namespace that is gone", async () => {
    const a = await startQuiet();
    a.store.removeNamespace("shop");
    a.disconnect();
    sendNow(a, "p0");
    await a.clock.advance(20_000);
    expect(a.store.reports.map(getEnds)).toEqual([[undefined]]);
    a.pipeline.onConnected();
    const endMs = a.clock.elapsedMs;
    await a.clock.advance(HOUR_MS + 60_000);
    expect(a.store.reports.map(getEnds)).toEqual([[endMs]]);
  });
});

describe("a short gap", () => {
  it("of a standby is not stated: the leader has read on", async () => {
    const [a, b] = await startBoth();
    await loseStream(b, 2000);
    await a.clock.advance(60_000);
    await takeOver(a, b);
    expect(readLease(b).statedGaps).toEqual([]);
    expect(countGaps(b)).toEqual([0, 0, 0]);
  });

  it("ends at a takeover when it did, where a report was written while it lasted", async () => {
    const [a, b] = await startBoth();
    sendNow(a, "p0");
    await loseStream(a, 12_000);
    const endMs = a.clock.elapsedMs;
    expect(a.store.reports.map(getEnds)).toEqual([[undefined], undefined, undefined]);
    await a.clock.advance(600_000);
    await takeOver(a, b);
    expect(b.store.reports.map(getEnds)).toEqual([[endMs], [endMs], [endMs]]);
  });

  it("of nodes has their number also after a takeover", async () => {
    const [a, b] = await startBoth();
    await loseStream(a, 2000, "node_down");
    await a.clock.advance(20_000);
    await takeOver(a, b);
    expect(b.store.reports.map(({ coverage }) => coverage.recent?.[0]?.nodes)).toEqual([3, 3, 3]);
  });

  it("is not lost where the clock was set back", async () => {
    const [a, b] = await startBoth();
    a.clock.stepWall(-HOUR_MS);
    await a.clock.advance(10_000);
    expect(readLease(a).persistedUntilMs).toBe(a.clock.nowMs());
    await loseStream(a, 2000);
    const { persistedUntilMs = 0 } = readLease(a);
    // By monotonic time.
    expect(a.clock.nowMs() - persistedUntilMs).toBeCloseTo(2100, 3);
    await a.clock.advance(60_000);
    expect(countGaps(a)).toEqual([1, 1, 1]);
    await takeOver(a, b);
    expect(countGaps(b)).toEqual([1, 1, 1]);
    const before = b.store.writes;
    await loseStream(b, 2000);
    await b.clock.advance(60_000);
    expect(b.store.writes).toBe(before);
  });

  it("that lasted is not lost where the clock was set back, and the leader is killed before all reports have it", async () => {
    const a = await startQuiet();
    const b = createStandby(a);
    a.clock.stepWall(-HOUR_MS);
    a.disconnect();
    await a.clock.advance(10_000);
    b.pipeline.onConnected();
    for (let n = 0; n < 20; n++) {
      readLease(a);
      await a.clock.advance(1000);
    }
    a.pipeline.onConnected();
    expect(countGaps(a)).toEqual([0, 0, 0]);
    await takeOver(a, b);
    expect(countGaps(b)).toEqual([1, 1, 1]);
  });

  it("after one where the clock was set back is alone in what is not persisted", async () => {
    const a = await startQuiet();
    a.clock.stepWall(-HOUR_MS);
    await loseStream(a, 2000);
    for (let n = 0; n < 50; n++) {
      readLease(a);
      await a.clock.advance(60_000);
    }
    expect(readLease(a).persistedUntilMs).toBe(a.clock.nowMs());
    a.disconnect();
    await a.clock.advance(1000);
    expect(a.clock.nowMs() - (readLease(a).persistedUntilMs ?? 0)).toBeCloseTo(1100, 3);
  });

  it("of a stall is not lost where the clock was set back", async () => {
    const [a, b] = await startBoth();
    a.clock.stepWall(-HOUR_MS);
    await a.clock.advance(10_000);
    a.pipeline.onEventLoopStall(6000);
    await a.clock.advance(60_000);
    await takeOver(a, b);
    expect(b.store.reports.map(({ coverage }) => coverage.recent?.map(({ kind, seconds }) => [kind, seconds]))).toEqual(
      Array(3).fill([["Stalled", 6]]),
    );
  });

  it("is not in a report that began after it and was written during the next one", async () => {
    const [a, b] = await startBoth();
    await loseStream(a, 2000);
    await a.clock.advance(20_000);
    sendNow(a, "new");
    await loseStream(a, 5000);
    await a.clock.advance(120_000);
    await takeOver(a, b);
    expect(countGaps(b)).toEqual([1, 2, 2, 2]);
  });

  it("is counted at a takeover, however many there are", async () => {
    const [a, b] = await startBoth();
    await loseStream(a, 2000);
    const lease = readLease(a);
    const [gap] = lease.statedGaps ?? [];
    if (!gap) throw new Error("no gap is stated");
    const createGap = (n: number) => ({ ...gap, fromUs: gap.fromUs + n * 3e6, toUs: gap.toUs + n * 3e6 });
    await takeOver(a, b, { ...lease, statedGaps: Array.from({ length: 16 }, (_, n) => createGap(15 - n)) });
    expect(countGaps(b)).toEqual([16, 16, 16]);
  });

  it("that lasts in a late write of the previous leader ends in the report at the takeover", async () => {
    const [a, b] = await startBoth();
    const lease = readLease(a);
    for (const each of [a, b]) sendNow(each, "p0");
    a.disconnect();
    await lead(b, lease);
    const endMs = b.clock.elapsedMs;
    await a.clock.advance(10_000);
    await a.pipeline.controller.suspend();
    expect(a.store.history.map(({ report }) => getEnds(report))).toContainEqual([undefined]);
    sendNow(b, "p0");
    await b.clock.advance(HOUR_MS + 60_000);
    expect(b.store.reports.map(getEnds)).toEqual([[endMs], undefined, undefined]);
    expect(b.store.get("shop/p0")?.summary.occurrences).toBe(3);
  });

  it("is counted once where a late write of the previous leader has it, too", async () => {
    const [a, b] = await startBoth();
    await loseStream(a, 2000);
    const lease = readLease(a);
    sendNow(a, "p0");
    await lead(b, lease);
    await a.clock.advance(10_000);
    await a.pipeline.controller.suspend();
    sendNow(b, "p0");
    await b.clock.advance(HOUR_MS + 60_000);
    expect(countGaps(b)).toEqual([1, 1, 1]);
    expect(b.store.get("shop/p0")?.summary.occurrences).toBe(3);
  });

  it("is not hidden by a write that was taken before it and sent after it", async () => {
    const a = await startQuiet({ faults: new Map([[NEXT_WRITE, "refused"]]) });
    sendNow(a, "p0");
    await a.clock.advance(12_000);
    expect(a.sink.hit).toEqual(["refused"]);
    await loseStream(a, 1000);
    const endMs = a.clock.nowMs();
    for (let n = 0; n < 400; n++) {
      await a.clock.advance(100);
      const { continuousSince = "", gaps = 0 } = a.store.get("shop/p0")?.coverage ?? {};
      if (Date.parse(continuousSince) >= endMs) expect(gaps).toBe(1);
    }
    expect(a.store.get("shop/p0")).toMatchObject({ summary: { occurrences: 2 }, coverage: { gaps: 1 } });
  });
});
