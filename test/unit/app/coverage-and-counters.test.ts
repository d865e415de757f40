// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { StreamCoverage } from "../../../src/aggregate/gaps/stream-coverage.ts";
import { IngestCounters, REJECTIONS } from "../../../src/ingest/ingest-counters.ts";

const createLoss = (lastReadMs: number) =>
  ({ lastReadMs, atMs: lastReadMs + 50, reason: "error", message: "x" }) as const;

const NONE = {
  StreamDown: 0,
  StreamEnded: 0,
  TransportLost: 0,
  NodeDown: 0,
  Stalled: 0,
  NotRunning: 0,
  Handover: 0,
  JournalUnavailable: 0,
};

describe("stream coverage", () => {
  it("is continuous from the first connection on", () => {
    const coverage = new StreamCoverage();
    expect(coverage.continuousSinceMs).toBeUndefined();
    expect(coverage.connected(1000)).toEqual([]);
    expect(coverage.connected(2000)).toEqual([]);
    expect(coverage).toMatchObject({ continuousSinceMs: 1000, gaps: NONE, gapSeconds: NONE, down: undefined });
  });

  it("counts a gap when it begins and its length when it ends, from the last sign of life", () => {
    const coverage = new StreamCoverage();
    coverage.connected(1000);
    expect(coverage.disconnected(createLoss(5000))).toEqual({ kind: "StreamDown", fromMs: 5000, toMs: undefined });
    expect(coverage.disconnected(createLoss(6000))).toBeUndefined();
    expect(coverage).toMatchObject({
      continuousSinceMs: undefined,
      gaps: { ...NONE, StreamDown: 1 },
      gapSeconds: NONE,
      down: createLoss(6000),
    });
    expect(coverage.connected(8000)).toEqual([{ kind: "StreamDown", fromMs: 5000, toMs: 8000 }]);
    expect(coverage).toMatchObject({
      continuousSinceMs: 8000,
      gaps: { ...NONE, StreamDown: 1 },
      gapSeconds: { ...NONE, StreamDown: 3 },
      down: undefined,
    });
    coverage.disconnected({ ...createLoss(9000), reason: "ok_end" });
    coverage.connected(9500);
    expect(coverage).toMatchObject({
      gaps: { ...NONE, StreamDown: 1, StreamEnded: 1 },
      gapSeconds: { ...NONE, StreamDown: 3, StreamEnded: 0.5 },
    });
    expect(coverage.disconnects).toEqual({ error: 2, ok_end: 1, watchdog: 0, connect_failed: 0, node_down: 0 });
  });

  it.each([
    ["before the stream is open", false],
    ["after it is open", true],
  ])("counts the time without an operator, known %s", (_name, isOpenFirst) => {
    const coverage = new StreamCoverage();
    if (isOpenFirst) coverage.connected(61_000);
    const over = { kind: "NotRunning", fromMs: 1000, toMs: 61_000 };
    expect(coverage.addNotRunning(1000)).toEqual(isOpenFirst ? over : { ...over, toMs: undefined });
    if (!isOpenFirst) expect(coverage.connected(61_000)).toEqual([over]);
    expect(coverage).toMatchObject({
      gaps: { ...NONE, NotRunning: 1 },
      gapSeconds: { ...NONE, NotRunning: 60 },
      continuousSinceMs: 61_000,
    });
    // It is over, and ends no second time.
    coverage.disconnected(createLoss(62_000));
    expect(coverage.connected(63_000)).toEqual([{ kind: "StreamDown", fromMs: 62_000, toMs: 63_000 }]);
  });

  it("never counts backwards, though a node's clock may run ahead of ours", () => {
    const coverage = new StreamCoverage();
    coverage.addNotRunning(100_000);
    expect(coverage.connected(61_000)).toEqual([{ kind: "NotRunning", fromMs: 100_000, toMs: 100_000 }]);
    coverage.addNotRunning(100_000);
    expect(coverage.gapSeconds).toEqual(NONE);
  });

  it("counts a standstill as a gap of a stream that is open, and of no other", () => {
    const coverage = new StreamCoverage();
    expect(coverage.addStall(6000, 7000)).toBeUndefined();
    coverage.connected(10_000);
    expect(coverage.addStall(6000, 20_000)).toEqual({ kind: "Stalled", fromMs: 14_000, toMs: 20_000 });
    // Not from before there was a stream.
    coverage.disconnected(createLoss(21_000));
    coverage.connected(22_000);
    expect(coverage.addStall(6000, 26_000)).toEqual({ kind: "Stalled", fromMs: 22_000, toMs: 26_000 });
    expect(coverage).toMatchObject({
      gaps: { ...NONE, StreamDown: 1, Stalled: 2 },
      gapSeconds: { ...NONE, StreamDown: 1, Stalled: 10 },
      continuousSinceMs: 26_000,
      coveredSinceMs: 26_000,
    });
  });

  it("counts a gap that was not the stream's", () => {
    const coverage = new StreamCoverage();
    coverage.connected(1000);
    coverage.addEndedGap({ kind: "Handover", fromMs: 2000, toMs: 4000 });
    expect(coverage).toMatchObject({
      gaps: { ...NONE, Handover: 1 },
      gapSeconds: { ...NONE, Handover: 2 },
      continuousSinceMs: 1000,
    });
  });
});

describe("the counters", () => {
  it("know every reason from the start", () => {
    expect(Object.keys(new IngestCounters().rejected).sort()).toEqual([...REJECTIONS].sort());
    expect(new IngestCounters().isReconciled).toBe(true);
  });

  it("fail when they do not balance", () => {
    const counters = new IngestCounters();
    counters.received = 6;
    counters.counted = 1;
    counters.duplicates = 2;
    counters.throttleNotices = 1;
    counters.rejected.invalid_json = 1;
    expect(counters.isReconciled).toBe(false);
    counters.rejected.no_policy = 1;
    expect(counters).toMatchObject({ rejectedTotal: 2, isReconciled: true });
  });
});
