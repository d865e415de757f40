// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The source is a plain object that the test changes; what is scraped is compared with literal lines.

import { describe, expect, test } from "vitest";
import { sumBuffers } from "../../../src/lib/collections/buffer-use.ts";
import { metricGroups } from "../../../src/telemetry/metric-list.ts";
import { createMetrics } from "../../../src/telemetry/metrics.ts";
import type { MetricsSource, ReportRow } from "../../../src/telemetry/metrics-source.ts";
import { parseList } from "../../support/text-table.ts";

function createNumbers() {
  return {
    counters: {
      ...{ received: 0, counted: 0, duplicates: 0, throttleNotices: 0, shortened: 0 },
      rejected: { no_policy: 0, invalid_json: 0 },
    },
    held: {
      ...{ unwrittenOccurrences: 0, violations: 0, reports: 0, bytes: 0, renderedBytes: 0, forgotten: 0 },
      ...{ expired: 0, withoutDetails: 0, names: 0, namesEvicted: 0, joined: 0 },
    },
    stream: {
      nodes: { desired: 0, connected: 0 },
      isUp: false,
      gaps: { StreamDown: 0 },
      gapSeconds: { StreamDown: 0 },
      lastMessageMs: 0,
      certificateExpiryMs: undefined as number | undefined,
      disconnects: { ok_end: 0, error: 0 },
    },
    journal: { isKept: false, bytes: 0, batches: 0, rows: 0, failures: 0, recovered: 0, waiting: 0, ageMs: 0 },
    writes: { results: { written: 0, conflict: 0 }, removed: 0, queued: 0 },
    buffers: sumBuffers([]),
    api: { requests: [] as { verb: string; code: string; count: number }[], retries: 0 },
    events: { sent: 0, suppressed: { rate: 0 }, lost: { queue_full: 0 } },
    reports: { rows: [] as ReportRow[], others: 0 },
    policies: [{ kind: "KubeArmorPolicy", isKnown: false, objects: 0, leftOut: 0 }],
    acceptances: { held: 0, leftOut: 0, statusWrites: { written: 0, conflict: 0, failed: 0 } },
    openReports: { isServed: false, results: { written: 0, refused: 0 }, pending: 0, leftOut: 0 },
    isLeader: false,
    standby: { held: 0, shown: 0, forgotten: 0, isCaughtUp: false },
  };
}

function setUp() {
  const state = createNumbers();
  const source = Object.fromEntries(
    Object.keys(state).map((key) => [key, () => state[key as keyof typeof state]]),
  ) as unknown as MetricsSource;
  const metrics = createMetrics({ source, version: "1.2.3", processMetrics: false });
  const scrape = async () => (await metrics.render()).split("\n").filter((line) => line && !line.startsWith("#"));
  return { state, source, metrics, scrape };
}

const SHOP: ReportRow = {
  labels: { resource_namespace: "shop", policy: 'no "shell"', severity: "high" },
  outcomes: { Prevented: 27, Allowed: 28 },
  lastSeenMs: 1_795_428_000_250,
};
const SHOP_LABELS = 'resource_namespace="shop",policy="no \\"shell\\"",severity="high"';

const isWrite = (line: string) => line.startsWith("policy_violation_report_write_duration_seconds");

describe("scrape", () => {
  test("a cluster name is a label of every series, of the process metrics too", async () => {
    const { source } = setUp();
    const text = await createMetrics({ source, version: "1.2.3", clusterName: "east" }).render();
    const series = text.split("\n").filter((line) => line && !line.startsWith("#"));
    expect(series.length).toBeGreaterThan(60);
    expect(series.filter((line) => !line.includes('cluster="east"'))).toEqual([]);
    expect(text).toContain('policy_violation_alerts_received_total{cluster="east"} 0');
  });

  test("every series with known labels is there from the start, with 0", async () => {
    const { scrape } = setUp();
    const lines = (await scrape()).filter((line) => !isWrite(line));
    expect(lines.at(-1)).toBe('policy_violation_build_info{version="1.2.3"} 1');
    expect(lines.slice(0, -1).filter((line) => !line.endsWith(" 0"))).toEqual([]);
    const names = metricGroups.flatMap(({ metrics }) => metrics.map(({ name }) => name));
    const present = new Set(lines.map((line) => /^\w+/.exec(line)?.[0]));
    // Of a report, a request and a write.
    const later = /_(?:occurrences_total|last_seen_timestamp_seconds|api_requests_total|write_duration_seconds)$/;
    expect(names.filter((name) => !present.has(name) && !later.test(name))).toEqual([]);
    expect(lines).toContain('policy_violation_alerts_rejected_total{reason="invalid_json"} 0');
    expect(lines).toContain('policy_violation_policies_known{kind="KubeArmorPolicy"} 0');
  });

  test("each number comes from its own field, in seconds where the name says so", async () => {
    const { state, scrape } = setUp();
    Object.assign(state.counters, { received: 10, counted: 4, duplicates: 3, throttleNotices: 2, shortened: 6 });
    state.counters.rejected.no_policy = 1;
    Object.assign(state.held, { unwrittenOccurrences: 11, violations: 12, reports: 13, bytes: 29, renderedBytes: 31 });
    Object.assign(state.held, {
      forgotten: 30,
      expired: 27,
      withoutDetails: 15,
      names: 90,
      namesEvicted: 91,
      joined: 92,
    });
    Object.assign(state.stream, { nodes: { desired: 3, connected: 2 }, isUp: true, gaps: { StreamDown: 16 } });
    Object.assign(state.stream, { gapSeconds: { StreamDown: 1.5 }, disconnects: { ok_end: 17, error: 18 } });
    state.stream.lastMessageMs = 1_795_428_000_250;
    state.stream.certificateExpiryMs = 1_800_000_000_000;
    Object.assign(state.journal, { isKept: true, bytes: 30, batches: 31, rows: 32, failures: 33, recovered: 34 });
    Object.assign(state.journal, { waiting: 35, ageMs: 36_500 });
    state.writes = { results: { written: 19, conflict: 20 }, removed: 28, queued: 21 };
    state.buffers = { ...state.buffers, deletions: { size: 48, overflows: 49 } };
    state.api = { requests: [{ verb: "PUT", code: "OK", count: 22 }], retries: 23 };
    state.events = { sent: 24, suppressed: { rate: 25 }, lost: { queue_full: 26 } };
    state.reports = { rows: [SHOP], others: 29 };
    state.policies = [{ kind: "KubeArmorHostPolicy", isKnown: true, objects: 37, leftOut: 38 }];
    state.acceptances = { held: 39, leftOut: 40, statusWrites: { written: 41, conflict: 42, failed: 43 } };
    state.openReports = { isServed: true, results: { written: 44, refused: 45 }, pending: 46, leftOut: 47 };
    state.isLeader = true;
    state.standby = { held: 27, shown: 28, forgotten: 29, isCaughtUp: true };
    const expected = parseList(`
      occurrences_total{${SHOP_LABELS},outcome="Prevented"} 27
      occurrences_total{${SHOP_LABELS},outcome="Allowed"} 28
      last_seen_timestamp_seconds{${SHOP_LABELS}} 1795428000.25 | other_reports 29 | alerts_received_total 10
      alerts_counted_total 4 | alerts_duplicate_total 3 | throttle_notices_total 2
      alerts_rejected_total{reason="no_policy"} 1 | alerts_rejected_total{reason="invalid_json"} 0
      redactions_shortened_total 6 | alerts_without_details_total 15 | unwritten_occurrences 11 | violations_held 12
      reports_held 13 | held_bytes 29 | rendered_violations_bytes 31 | violations_evicted_total 30 | names_held 90
      names_evicted_total 91 | violations_joined_total 92
      buffer_entries{buffer="absent_namespaces"} 0 | buffer_entries{buffer="deletions"} 48
      buffer_entries{buffer="early_gaps"} 0 | buffer_entries{buffer="rejection_scopes"} 0
      buffer_entries{buffer="standby_notices"} 0 | buffer_entries{buffer="standby_reports"} 0
      buffer_entries{buffer="stated_gaps"} 0 | buffer_entries{buffer="throttled_pods"} 0 | buffer_entries{buffer="write_intervals"} 0
      buffer_overflows_total{buffer="absent_namespaces"} 0 | buffer_overflows_total{buffer="deletions"} 49
      buffer_overflows_total{buffer="early_gaps"} 0 | buffer_overflows_total{buffer="rejection_scopes"} 0
      buffer_overflows_total{buffer="standby_notices"} 0 | buffer_overflows_total{buffer="standby_reports"} 0
      buffer_overflows_total{buffer="stated_gaps"} 0 | buffer_overflows_total{buffer="throttled_pods"} 0 | buffer_overflows_total{buffer="write_intervals"} 0
      violations_expired_total 27 | reports_removed_total 28
      stream_up 1 | nodes_desired 3 | nodes_connected 2 | stream_disconnects_total{reason="ok_end"} 17
      stream_disconnects_total{reason="error"} 18 | stream_gaps_total{kind="StreamDown"} 16
      stream_gap_seconds_total{kind="StreamDown"} 1.5 | stream_last_message_timestamp_seconds 1795428000.25
      relay_certificate_expiry_timestamp_seconds 1800000000 | journal_up 1 | journal_bytes 30
      journal_batches_total 31 | journal_rows_total 32 | journal_failures_total 33 | journal_waiting_violations 35
      journal_lag_seconds 36.5 | journal_recovered_occurrences_total 34 | report_writes_total{result="written"} 19
      report_writes_total{result="conflict"} 20 | reports_queued 21 | openreports_served 1
      openreports_writes_total{result="written"} 44 | openreports_writes_total{result="refused"} 45
      openreports_pending 46 | openreports_left_out 47 | api_requests_total{verb="PUT",code="OK"} 22
      api_retries_total 23 | events_sent_total 24 | events_suppressed_total{reason="rate"} 25
      events_lost_total{reason="queue_full"} 26 | policies_known{kind="KubeArmorHostPolicy"} 1
      policies_held{kind="KubeArmorHostPolicy"} 37 | policies_left_out{kind="KubeArmorHostPolicy"} 38
      acceptances_held 39 | acceptances_left_out 40 | acceptance_status_writes_total{result="written"} 41
      acceptance_status_writes_total{result="conflict"} 42 | acceptance_status_writes_total{result="failed"} 43
      leader 1 | standby_ready 1 | standby_alerts_held 27 | standby_alerts_already_reported_total 28
      standby_alerts_evicted_total 29 | build_info{version="1.2.3"} 1
    `).map((line) => `policy_violation_${line}`);
    expect((await scrape()).filter((line) => !isWrite(line))).toEqual(expected);
  });

  test("a deleted report has no series", async () => {
    const { state, scrape } = setUp();
    state.reports = { rows: [SHOP], others: 0 };
    await scrape();
    state.reports = { rows: [], others: 0 };
    expect((await scrape()).filter((line) => line.includes("resource_namespace"))).toEqual([]);
  });

  test("a second scrape has the total, not the sum of both", async () => {
    const { state, scrape } = setUp();
    state.counters.counted = 5;
    await scrape();
    state.counters.counted = 7;
    expect(await scrape()).toContain("policy_violation_alerts_counted_total 7");
  });

  test("one scrape reads everything at one moment, so that the counters balance in it", async () => {
    const { state, metrics } = setUp();
    const pending = metrics.render();
    state.counters.received = 1;
    state.counters.counted = 1;
    const text = await pending;
    expect(text).toContain("policy_violation_alerts_received_total 0\n");
    expect(text).toContain("policy_violation_alerts_counted_total 0\n");
  });

  test("writes are a histogram in seconds", async () => {
    const { metrics, scrape } = setUp();
    metrics.observeWrite(40);
    metrics.observeWrite(31_000);
    const lines = (await scrape()).filter(isWrite);
    expect(lines).toContain('policy_violation_report_write_duration_seconds_bucket{le="0.025"} 0');
    expect(lines).toContain('policy_violation_report_write_duration_seconds_bucket{le="0.05"} 1');
    expect(lines).toContain('policy_violation_report_write_duration_seconds_bucket{le="30"} 1');
    expect(lines).toContain('policy_violation_report_write_duration_seconds_bucket{le="+Inf"} 2');
    expect(lines).toContain("policy_violation_report_write_duration_seconds_sum 31.04");
  });

  test("the process's own metrics keep their usual names", async () => {
    const { source } = setUp();
    const text = await createMetrics({ source, version: "1" }).render();
    const names = `process_resident_memory_bytes process_cpu_seconds_total process_start_time_seconds
      nodejs_heap_size_used_bytes nodejs_eventloop_lag_p99_seconds`;
    for (const name of names.split(/\s+/)) {
      expect(text).toMatch(new RegExp(`^${name} [0-9.e+-]+$`, "m"));
    }
  });

  test("a source that throws fails the scrape instead of telling half", async () => {
    const { source } = setUp();
    const fail = () => {
      throw new Error("broken");
    };
    const broken: MetricsSource = { ...source, held: fail };
    const metrics = createMetrics({ source: broken, version: "1", processMetrics: false });
    await expect(metrics.render()).rejects.toThrow("broken");
  });
});

test("names follow Prometheus's rules", () => {
  const all = metricGroups.flatMap(({ metrics }) => metrics);
  for (const { name, help } of all) {
    expect(name).toMatch(/^policy_violation_[a-z_]+$/);
    expect(help).toMatch(/^[A-Z0-9].*\.$/);
  }
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});
