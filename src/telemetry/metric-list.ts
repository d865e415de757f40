// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Every metric there is: its name, meaning, labels and where its number comes from. docs/metrics.md is written from here.
// Invariant: names are part of the interface. Only the metrics of `violations` have labels that come from alerts, and
// their number is bounded; so the series are few.

import type { BufferUse } from "../lib/collections/buffer-use.ts";
import { contextMetrics } from "./context-metrics.ts";
import { journalMetrics } from "./journal-metrics.ts";
import type { MetricDefinition } from "./metric-definition.ts";
import type { Counts, MetricsSource } from "./metrics-source.ts";
import { streamMetrics } from "./stream-metrics.ts";

const MS_PER_SECOND = 1000;

const alerts: MetricDefinition[] = [
  {
    name: "policy_violation_alerts_received_total",
    help: "Received messages: the sum of counted, duplicate, throttle notices and rejected.",
    read: (source) => source.counters().received,
  },
  {
    name: "policy_violation_alerts_counted_total",
    help: "Alerts that became an occurrence of a violation.",
    read: (source) => source.counters().counted,
  },
  {
    name: "policy_violation_alerts_duplicate_total",
    help: "Alerts that were delivered before and not counted again.",
    read: (source) => source.counters().duplicates,
  },
  {
    name: "policy_violation_throttle_notices_total",
    help: "Notices that KubeArmor throttled a container's alerts; the real numbers are higher.",
    read: (source) => source.counters().throttleNotices,
  },
  {
    name: "policy_violation_alerts_rejected_total",
    help: "Input that could not be counted as a violation, by reason.",
    labels: ["reason"],
    read: (source) => source.counters().rejected,
  },
  {
    name: "policy_violation_redactions_shortened_total",
    help: "Texts of alerts masked from their second word on, because searching them for secrets took too much work.",
    read: (source) => source.counters().shortened,
  },
  {
    name: "policy_violation_alerts_without_details_total",
    help: "Alerts counted without details, because a memory bound was reached and no violation could be evicted.",
    read: (source) => source.held().withoutDetails,
  },
];

const violations: MetricDefinition[] = [
  {
    name: "policy_violation_occurrences_total",
    help: "Occurrences by report and outcome, as persisted in reports; a restart does not reset them.",
    labels: ["resource_namespace", "policy", "severity", "outcome"],
    read: (source) =>
      source
        .reports()
        .rows.flatMap(({ labels, outcomes }) =>
          Object.entries(outcomes).map(([outcome, value]) => ({ labels: { ...labels, outcome }, value })),
        ),
  },
  {
    name: "policy_violation_last_seen_timestamp_seconds",
    help: "Time of the newest violation of a report, in seconds since the epoch.",
    labels: ["resource_namespace", "policy", "severity"],
    read: (source) =>
      source.reports().rows.map(({ labels, lastSeenMs }) => ({ labels, value: lastSeenMs / MS_PER_SECOND })),
  },
  {
    name: "policy_violation_other_reports",
    help: "Reports without series of their own, beyond metrics.maxReportSeries; their sum is under _other.",
    read: (source) => source.reports().others,
  },
];

const held: MetricDefinition[] = [
  {
    name: "policy_violation_unwritten_occurrences",
    help: "Counted occurrences that are not persisted in a report yet.",
    read: (source) => source.held().unwrittenOccurrences,
  },
  {
    name: "policy_violation_violations_held",
    help: "Distinct violations in memory.",
    read: (source) => source.held().violations,
  },
  { name: "policy_violation_reports_held", help: "Reports in memory.", read: (source) => source.held().reports },
  {
    name: "policy_violation_held_bytes",
    help: "Estimated heap size of the violations in memory; bounded by memory.limitBytes.",
    read: (source) => source.held().bytes,
  },
  {
    name: "policy_violation_rendered_violations_bytes",
    help: "Estimated heap size of the rendered violations kept for the next write of their report; at most 8 MiB.",
    read: (source) => source.held().renderedBytes,
  },
  {
    name: "policy_violation_violations_evicted_total",
    help: "Violations evicted from memory; their counts stay in the reports.",
    read: (source) => source.held().forgotten,
  },
  {
    name: "policy_violation_names_held",
    help: "Owners of pods and names of containers in memory, for alerts that lack them.",
    read: (source) => source.held().names,
  },
  {
    name: "policy_violation_names_evicted_total",
    help: "Owners and container names evicted from memory; later alerts without them are counted without a name.",
    read: (source) => source.held().namesEvicted,
  },
  {
    name: "policy_violation_violations_joined_total",
    help: "Violations that joined others once the owner of their pod or the name of their container was known.",
    read: (source) => source.held().joined,
  },
  {
    name: "policy_violation_buffer_entries",
    help: "Entries of buffers with a fixed bound, by buffer.",
    labels: ["buffer"],
    read: (source) => readBuffers(source, "size"),
  },
  {
    name: "policy_violation_buffer_overflows_total",
    help: "Additions that found no room in a buffer with a fixed bound, by buffer.",
    labels: ["buffer"],
    read: (source) => readBuffers(source, "overflows"),
  },
];

function readBuffers(source: MetricsSource, of: keyof BufferUse): Counts {
  return Object.fromEntries(Object.entries(source.buffers()).map(([buffer, use]) => [buffer, use[of]]));
}

const retention: MetricDefinition[] = [
  {
    name: "policy_violation_violations_expired_total",
    help: "Violations that left their reports because they were not seen for reports.retentionMs.",
    read: (source) => source.held().expired,
  },
  {
    name: "policy_violation_reports_removed_total",
    help: "Reports deleted because nothing in them was seen for reports.retentionMs.",
    read: (source) => source.writes().removed,
  },
];

const writes: MetricDefinition[] = [
  {
    name: "policy_violation_report_writes_total",
    help: "Attempts to write a report, by result.",
    labels: ["result"],
    read: (source) => source.writes().results,
  },
  {
    name: "policy_violation_reports_queued",
    help: "Changed reports that wait to be written.",
    read: (source) => source.writes().queued,
  },
];

const kubernetes: MetricDefinition[] = [
  {
    name: "policy_violation_api_requests_total",
    help: "Requests to the Kubernetes API, by HTTP method and outcome: OK or the kind of error.",
    labels: ["verb", "code"],
    read: (source) =>
      Array.from(source.api().requests, ({ verb, code, count }) => ({ labels: { verb, code }, value: count })),
  },
  {
    name: "policy_violation_api_retries_total",
    help: "Requests to the Kubernetes API that were made again after a failure.",
    read: (source) => source.api().retries,
  },
  {
    name: "policy_violation_events_sent_total",
    help: "Kubernetes Events created or updated.",
    read: (source) => source.events().sent,
  },
  {
    name: "policy_violation_events_suppressed_total",
    help: "Occurrences suppressed without an Event, by reason.",
    labels: ["reason"],
    read: (source) => source.events().suppressed,
  },
  {
    name: "policy_violation_events_lost_total",
    help: "Occurrences dropped before an Event could be sent, by reason.",
    labels: ["reason"],
    read: (source) => source.events().lost,
  },
];

const standby: MetricDefinition[] = [
  {
    name: "policy_violation_leader",
    help: "1 while this replica is the leader, or an owner with a part of the reports; 0 in a standby and in a reader.",
    read: (source) => Number(source.isLeader()),
  },
  {
    name: "policy_violation_standby_ready",
    help: "1 while this replica is a standby that could take over without a gap, else 0.",
    read: (source) => Number(source.standby().isCaughtUp),
  },
  {
    name: "policy_violation_standby_alerts_held",
    help: "Counted alerts that this standby keeps because they are not persisted in a report yet.",
    read: (source) => source.standby().held,
  },
  {
    name: "policy_violation_standby_alerts_already_reported_total",
    help: "Counted alerts that this standby released because the leader persisted them in its reports.",
    read: (source) => source.standby().shown,
  },
  {
    name: "policy_violation_standby_alerts_evicted_total",
    help: "Counted alerts that this standby evicted at a bound (standby.maxAlerts, standby.maxViolations).",
    read: (source) => source.standby().forgotten,
  },
];

/** All 0 on a standby and where copies are switched off. */
const openReportMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_openreports_served",
    help: "1 while the cluster serves OpenReports and this replica copies reports to them, else 0.",
    read: (source) => Number(source.openReports().isServed),
  },
  {
    name: "policy_violation_openreports_writes_total",
    help: "Attempts to bring the OpenReports copy of a report up to date, by result.",
    labels: ["result"],
    read: (source) => source.openReports().results,
  },
  {
    name: "policy_violation_openreports_pending",
    help: "OpenReports copies that are out of date, most of them for openReports.minIntervalMs at most.",
    read: (source) => source.openReports().pending,
  },
  {
    name: "policy_violation_openreports_left_out",
    help: "Reports without an OpenReports copy, beyond memory.maxReports of a kind; at most as many are counted.",
    read: (source) => source.openReports().leftOut,
  },
];

/** The metrics by topic, in the order of the documentation. */
export const metricGroups: readonly { title: string; metrics: readonly MetricDefinition[] }[] = [
  { title: "Violations", metrics: violations },
  { title: "Alerts", metrics: alerts },
  { title: "Memory", metrics: held },
  { title: "Retention", metrics: retention },
  { title: "Stream", metrics: streamMetrics },
  { title: "Journal", metrics: journalMetrics },
  { title: "Report writes", metrics: writes },
  { title: "OpenReports", metrics: openReportMetrics },
  { title: "Kubernetes API and Events", metrics: kubernetes },
  { title: "Policies and acceptances", metrics: contextMetrics },
  { title: "Replicas", metrics: standby },
];

/** Observed directly, once a write; the buckets reach from a quick PUT to the write's time limit. */
export const writeDurationDefinition = {
  name: "policy_violation_report_write_duration_seconds",
  help: "Duration of one write of a report, for any result.",
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
};

export const buildInfoDefinition = {
  name: "policy_violation_build_info",
  help: "Always 1; the labels name the running version.",
  labels: ["version"],
} as const;
