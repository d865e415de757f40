// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { reportKey } from "../../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../../src/lib/pacing/steps.ts";
import { formatMicroTime } from "../../../../src/lib/time.ts";
import type { Checkpoint } from "../../../../src/scale/messages/checkpoint.ts";
import { type Delta, drainReport, type ReportDelta, SKEW_US } from "../../../../src/scale/messages/delta.ts";
import { encodeDelta } from "../../../../src/scale/messages/delta-codec.ts";
import { ShardTracker } from "../../../../src/scale/messages/shard-tracker.ts";
import { PartitionCounters, PartitionState, PositionNumbers } from "../../../../src/scale/owner/partition-state.ts";
import { alert, MEMORY, START_MS, START_US, violation } from "../../../support/gen.ts";

const KEY = reportKey("shop", "no-package-managers");
const STREAM = "stream-1";

function createReport(occurrences: number, fields: Parameters<typeof alert>[0] = {}): ReportDelta {
  const aggregator = new Aggregator(MEMORY, () => {});
  for (let i = 0; i < occurrences; i++) aggregator.add(violation(alert(fields)));
  const [ledger] = aggregator.ledgers.values();
  const report = ledger && runAtOnce(drainReport(ledger));
  if (!report) throw new Error("nothing was counted");
  return report;
}

/** One reader's messages. */
class TestReader {
  #seq = 0;
  #cumulative = 0;

  write(occurrences: number, more: Partial<Delta> = {}): Uint8Array {
    this.#cumulative += occurrences;
    return encodeDelta({
      stream: STREAM,
      source: "reader",
      seq: ++this.#seq,
      cumulative: this.#cumulative,
      untilUs: START_US + this.#seq * 1_000_000,
      shards: [],
      reports: occurrences > 0 ? [createReport(occurrences)] : [],
      notices: [],
      ...more,
    });
  }
}

const SINCE_US = START_US - 60_000_000;
const BEGIN: Checkpoint = { position: 0, sources: {}, shards: [], wholeSinceUs: 0 };

function createState(marks: ReadonlyMap<string, number> = new Map(), memory = MEMORY, checkpoint = BEGIN) {
  const numbers = new PositionNumbers();
  const aggregator = new Aggregator(memory, () => {}, { numbers, keepsNone: true });
  const counters = new PartitionCounters();
  const skipped: string[] = [];
  const state = new PartitionState({
    stream: STREAM,
    aggregator,
    numbers,
    shards: new ShardTracker(checkpoint),
    marks,
    checkpoint,
    sinceUs: SINCE_US,
    counters,
    onLoss: () => {},
    onCoverage: () => {},
    onSkipped: (_reason, detail) => skipped.push(detail),
    onThrottled: () => {},
  });
  const totals = () => aggregator.ledgers.get(KEY)?.counts.all;
  const apply = (seq: number, bytes: Uint8Array) => state.apply({ seq, atMs: START_MS, bytes });
  return { state, counters, skipped, totals, apply, ledgers: aggregator.ledgers };
}

describe("PartitionState", () => {
  it("adds messages beyond the mark of a report only", () => {
    const { totals, apply, state } = createState(new Map([[KEY, 2]]));
    const reader = new TestReader();
    apply(1, reader.write(5));
    apply(2, reader.write(5));
    expect(totals()).toBeUndefined();
    apply(3, reader.write(7));
    expect(totals()?.occurrences).toBe(7);
    expect(state.position).toBe(3);
  });

  it("declares the number of occurrences of a message that is missing, from the alerts that may be late", () => {
    const { totals, apply, counters } = createState();
    const reader = new TestReader();
    apply(1, reader.write(5));
    reader.write(4);
    apply(3, reader.write(1));
    expect(totals()?.occurrences).toBe(6);
    expect(counters.lost).toBe(4);
    const [fromUs, toUs] = [START_US + 1_000_000 - SKEW_US, START_US + 3_000_000];
    expect(totals()?.coverageGaps).toMatchObject([{ kind: "TransportLost", count: 4, fromUs, toUs }]);
  });

  it("declares it in a report that begins later with alerts of that time, not in one that begins after it", () => {
    const { apply, state, ledgers } = createState();
    const reader = new TestReader();
    const createOther = (PolicyName: string, us: number) =>
      createReport(1, { PolicyName, UpdatedTime: formatMicroTime(us) });
    reader.write(4);
    apply(2, reader.write(1, { reports: [createOther("during", START_US)] }));
    const gaps = (policyName: string) => ledgers.get(reportKey("shop", policyName))?.counts.all.coverageGaps;
    expect(gaps("during")).toMatchObject([{ kind: "TransportLost", fromUs: SINCE_US }]);
    apply(3, reader.write(1, { reports: [createOther("later", START_US + 1_000_000)] }));
    apply(4, reader.write(1, { reports: [createOther("after", START_US + 3_000_000)] }));
    expect(gaps("later")).toMatchObject([{ kind: "TransportLost", toUs: START_US + 2_000_000 }]);
    expect(gaps("after")).toEqual([]);
    const restored = createState(new Map(), MEMORY, state.snapshot());
    restored.apply(5, reader.write(1, { reports: [createOther("restored", START_US + 1_000_000)] }));
    expect(restored.ledgers.get(reportKey("shop", "restored"))?.counts.all.gaps).toBe(1);
  });

  it("skips a message that was sent again", () => {
    const { totals, apply, counters } = createState();
    const message = new TestReader().write(5);
    apply(1, message);
    apply(2, message);
    expect(totals()?.occurrences).toBe(5);
    expect(counters.skipped.duplicate).toBe(1);
    expect(totals()?.gaps).toBe(0);
  });

  it("counts nothing of messages that it does not understand", () => {
    const { totals, apply, counters, skipped } = createState();
    const reader = new TestReader();
    apply(1, reader.write(5));
    apply(2, new TextEncoder().encode('{"hello":"world"}'));
    apply(3, new Uint8Array([0, 1, 2]));
    expect(totals()?.gaps).toBe(0);
    apply(4, new TextEncoder().encode('{"version":99,"source":"new","seq":1,"reports":[]}'));
    expect(totals()?.occurrences).toBe(5);
    expect(totals()?.gaps).toBe(1);
    expect(counters.skipped).toMatchObject({ foreign: 2, version: 1 });
    expect(skipped.at(-1)).toContain("99");
  });

  it("does not count a message that was built for another stream", () => {
    const { totals, apply, counters } = createState();
    const reader = new TestReader();
    apply(1, reader.write(5));
    apply(2, reader.write(3, { stream: "stream-0", source: "old" }));
    expect(totals()?.occurrences).toBe(5);
    expect(counters.lost).toBe(3);
    expect(totals()?.gaps).toBe(1);
  });

  it("adds notices to every report", () => {
    const { totals, apply } = createState();
    const reader = new TestReader();
    apply(1, reader.write(5));
    const gap = { type: "gap", kind: "NodeDown", fromUs: START_US, toUs: START_US + 5, nodes: 2, count: 0 } as const;
    apply(2, reader.write(0, { notices: [gap] }));
    apply(3, reader.write(0, { notices: [{ ...gap, toUs: START_US + 9 }] }));
    apply(
      4,
      reader.write(0, { notices: [{ type: "rejected", scope: { namespace: "shop" }, count: 2, atUs: START_US }] }),
    );
    expect(totals()).toMatchObject({ gaps: 1, rejected: 2 });
    expect(totals()?.coverageGaps.find(({ kind }) => kind === "NodeDown")).toMatchObject({
      toUs: START_US + 9,
      nodes: 2,
    });
  });

  describe("while nodes of a shard are not read", () => {
    const shards = [{ index: 0, desired: 2, connected: 1, missingSinceUs: START_US }];
    const begin = { type: "gap", kind: "NodeDown", fromUs: START_US, toUs: null, nodes: 1, count: 0 } as const;

    it("has an open gap in each report, also in one that begins meanwhile", () => {
      const { totals, apply } = createState();
      const reader = new TestReader();
      apply(1, reader.write(0, { shards, notices: [begin] }));
      apply(2, reader.write(5, { shards }));
      apply(3, reader.write(5, { shards }));
      expect(totals()).toMatchObject({
        gaps: 1,
        coverageGaps: [{ kind: "NodeDown", fromUs: START_US, toUs: undefined }],
      });
      const toUs = START_US + 60_000_000;
      const read = [{ ...shards[0], index: 0, desired: 2, connected: 2, missingSinceUs: null }];
      apply(4, reader.write(0, { shards: read, notices: [{ ...begin, toUs, nodes: 2 }] }));
      expect(totals()).toMatchObject({ gaps: 1, coverageGaps: [{ fromUs: START_US, toUs, nodes: 2 }] });
      const later = apply(5, reader.write(0, { shards: read, reports: [createReport(1, { PolicyName: "b" })] }));
      expect(later).toBeUndefined();
    });

    it("ends the gap when another reader has the shard", () => {
      const { totals, apply } = createState();
      const reader = new TestReader();
      apply(1, reader.write(5, { shards, notices: [begin] }));
      const read = [{ index: 0, desired: 2, connected: 2, missingSinceUs: null }];
      const untilUs = START_US + 50_000_000;
      apply(2, new TestReader().write(0, { source: "next", untilUs, shards: read }));
      expect(totals()).toMatchObject({ gaps: 1, coverageGaps: [{ fromUs: START_US, toUs: untilUs }] });
    });

    it("keeps the gap open over a change of owners, and ends one of which the stream has no end", () => {
      const before = createState();
      const reader = new TestReader();
      before.apply(1, reader.write(5, { shards, notices: [begin] }));
      before.state.endUnknownGaps(START_MS + 1000);
      expect(before.totals()?.coverageGaps).toMatchObject([{ toUs: undefined }]);
      before.apply(2, reader.write(0, { shards, notices: [{ ...begin, fromUs: START_US + 1 }] }));
      before.state.endUnknownGaps(START_MS + 1000);
      expect(before.totals()?.coverageGaps).toMatchObject([
        { fromUs: START_US + 1, toUs: (START_MS + 1000) * 1000 },
        { fromUs: START_US, toUs: undefined },
      ]);
    });
  });

  it("knows since when all shards have been read without a gap", () => {
    const { state, apply } = createState();
    const reader = new TestReader();
    const shard = (index: number) => ({ index, desired: 1, connected: 1, missingSinceUs: null });
    const since = () => state.shards.wholeSinceUs(2, START_MS - 90_000);
    apply(1, reader.write(5, { shards: [shard(0)] }));
    expect(since()).toBeUndefined();
    const toUs = START_US + 7;
    const gap = { type: "gap", kind: "NotRunning", fromUs: null, toUs, nodes: 1, count: 0 } as const;
    apply(2, reader.write(5, { shards: [shard(0), shard(1)], notices: [gap] }));
    expect(since()).toBe(toUs);
    apply(3, reader.write(0, { shards: [{ ...shard(0), missingSinceUs: START_US }, shard(1)] }));
    expect(since()).toBeUndefined();
    const untilUs = START_US + 90_000_000;
    apply(4, reader.write(0, { untilUs, shards: [shard(0), shard(1)] }));
    expect(since()).toBe(untilUs);
    expect(state.shards.wholeSinceUs(2, START_MS + 1)).toBeUndefined();
  });

  it("marks the reports of a namespace in which a report has no room", () => {
    const { state, counters, totals } = createState(new Map(), { ...MEMORY, maxReports: 1 });
    const reader = new TestReader();
    state.apply({ seq: 1, atMs: START_MS, bytes: reader.write(2) });
    const reports = [createReport(3, { PolicyName: "another" })];
    state.apply({ seq: 2, atMs: START_MS, bytes: reader.write(0, { cumulative: 5, reports }) });
    expect(counters.refused).toBe(3);
    expect(totals()).toMatchObject({ occurrences: 2, rejected: 3 });
  });
});
