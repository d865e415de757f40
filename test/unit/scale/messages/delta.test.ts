// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Aggregator } from "../../../../src/aggregate/aggregator.ts";
import { reportKey } from "../../../../src/ingest/violation/violation.ts";
import { runAtOnce } from "../../../../src/lib/pacing/steps.ts";
import { renderReport } from "../../../../src/report/render.ts";
import { type Delta, drainReport, type ReportDelta, toCounted } from "../../../../src/scale/messages/delta.ts";
import { decodeDelta, encodeDelta } from "../../../../src/scale/messages/delta-codec.ts";
import { packReports, splitReport } from "../../../../src/scale/messages/delta-split.ts";
import { alert, formatTimeAt, MEMORY, renderOptions, violation } from "../../../support/gen.ts";

const KEY = reportKey("shop", "no-package-managers");

function count(aggregator: Aggregator, from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const path = `/opt/${"abcdefghij"[i % 10]}`;
    const fields = { UpdatedTime: formatTimeAt(i * 10), PodName: `web-${i % 3}`, Severity: String((i % 9) + 1) };
    aggregator.add(violation(alert(fields, { Resource: path, ProcessName: path })));
  }
}

function createAggregator(): Aggregator {
  return new Aggregator(MEMORY, () => {});
}

function drain(aggregator: Aggregator): ReportDelta {
  const ledger = aggregator.ledgers.get(KEY);
  const delta = ledger && runAtOnce(drainReport(ledger));
  if (!delta) throw new Error("nothing was counted");
  return delta;
}

function split(report: ReportDelta, maxBytes: number): ReportDelta[] {
  return runAtOnce(splitReport(report, maxBytes)).map(({ item }) => item);
}

function toDelta(reports: ReportDelta[]): Delta {
  const shards = [{ index: 0, desired: 1, connected: 1, missingSinceUs: null }];
  return { stream: "stream-1", source: "a", seq: 1, cumulative: 1, untilUs: 1, shards, reports, notices: [] };
}

function absorb(aggregator: Aggregator, report: ReportDelta): void {
  const { namespace, policyName, policy, totals } = report;
  aggregator.absorb({ namespace, policyName, policy, totals, entries: toCounted(report) });
}

function render(aggregator: Aggregator): unknown {
  const ledger = aggregator.ledgers.get(KEY);
  if (!ledger) throw new Error("no report");
  ledger.write.take();
  return renderReport(ledger, renderOptions());
}

describe("a delta", () => {
  it.each([1_000_000, 4000, 1])("gives the report that one process would write, in parts of %d bytes", (maxBytes) => {
    const reader = createAggregator();
    const owner = createAggregator();
    for (const [from, to] of [
      [0, 30],
      [30, 31],
      [31, 200],
    ] as const) {
      count(reader, from, to);
      for (const part of split(drain(reader), maxBytes)) {
        const decoded = decodeDelta(encodeDelta(toDelta([part])));
        if (decoded.kind !== "delta") throw new Error(decoded.detail);
        for (const report of decoded.delta.reports) absorb(owner, report);
      }
    }
    const expected = createAggregator();
    count(expected, 0, 200);
    expect(render(owner)).toEqual(render(expected));
  });

  it("is split into parts that agree with themselves", () => {
    const reader = createAggregator();
    count(reader, 0, 100);
    const whole = drain(reader);
    const parts = split(whole, 3000);
    expect(parts.length).toBeGreaterThan(2);
    const sum = parts.reduce((total, { totals }) => total + totals.occurrences, 0);
    expect(sum).toBe(whole.totals.occurrences);
    for (const { totals, violations } of parts)
      expect(totals.prevented).toBe(violations.reduce((total, { occurrences }) => total + occurrences, 0));
    for (const group of runAtOnce(packReports([whole, whole], 3000)))
      expect(JSON.stringify(group).length).toBeLessThan(6000);
  });

  it("with one violation of many pods is split by its pods", () => {
    const reader = createAggregator();
    for (let i = 0; i < 500; i++) reader.add(violation(alert({ PodName: `é${i}` })));
    for (let i = 0; i < 3; i++) reader.add(violation(alert({ PodName: "é1" })));
    const whole = drain(reader);
    const parts = split(whole, 10_000);
    for (const part of parts) expect(encodeDelta(toDelta([part])).length).toBeLessThan(12_000);
    const owner = createAggregator();
    for (const part of parts) absorb(owner, part);
    const expected = createAggregator();
    absorb(expected, whole);
    expect(render(owner)).toEqual(render(expected));
  });

  it("of another version is not read", () => {
    const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
    const good = { version: 1, ...toDelta([]) };
    expect(decodeDelta(encode(good)).kind).toBe("delta");
    expect(decodeDelta(encode({ ...good, version: 2 })).kind).toBe("version");
    expect(decodeDelta(encode({ ...good, more: true })).kind).toBe("version");
    expect(decodeDelta(encode({ ...good, seq: 0 })).kind).toBe("version");
    const reader = createAggregator();
    count(reader, 0, 1);
    const report = drain(reader);
    expect(decodeDelta(encode({ ...good, reports: [report] })).kind).toBe("delta");
    const history = { ...report.totals.history, hours: [[Number.MAX_SAFE_INTEGER, 1, 0, 0]] };
    const beyondDates = { ...report, totals: { ...report.totals, history } };
    expect(decodeDelta(encode({ ...good, reports: [beyondDates] })).kind).toBe("version");
    expect(decodeDelta(encode({ hello: "world" })).kind).toBe("foreign");
    expect(decodeDelta(encode(null)).kind).toBe("foreign");
    expect(decodeDelta(new Uint8Array([0xff, 0xfe])).kind).toBe("foreign");
  });
});
