// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes docs/configuration.md, docs/metrics.md, and the chart's README.md, schema and CRDs: `npm run docs`.
// Invariant: what a document says of a setting or a metric comes from its definition; a test compares the files.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Disconnect } from "../src/api/alert-stream.ts";
import { parseConfig } from "../src/config/config.ts";
import { formatProblems } from "../src/config/config-problem.ts";
import { type Section, type Setting, sections, settings } from "../src/config/settings.ts";
import type { LossReason, SuppressReason } from "../src/events/event-counters.ts";
import type { Rejection } from "../src/ingest/ingest-counters.ts";
import type { ApiErrorCode } from "../src/kube/api-error.ts";
import { formatDuration, formatSize } from "../src/lib/quantity.ts";
import type { PublishResult } from "../src/sinks/openreports/publish-result.ts";
import type { WriteResult } from "../src/sinks/report-sink.ts";
import { getMetricType } from "../src/telemetry/metric-definition.ts";
import { buildInfoDefinition, metricGroups, writeDurationDefinition } from "../src/telemetry/metric-list.ts";
import { scaleMetrics } from "../src/telemetry/scale-metrics.ts";
import { buildValuesSchema } from "./chart-schema.ts";
import { renderChartReadme } from "./chart-values.ts";

const CRDS = join(import.meta.dirname, "../crds");
const GENERATED = "<!-- Written by tools/docs.ts from the code; change it there. -->";

function renderTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  return line(header) + line(header.map(() => "---")) + rows.map(line).join("");
}

function formatCode(text: string): string {
  return `\`${text}\``;
}

function formatDefault({ default: value, defaultText, unit }: Setting): string {
  if (defaultText !== undefined) return defaultText;
  if (value === "") return "empty";
  if (Array.isArray(value)) return "none";
  return formatCode(withUnit(value, unit));
}

/** Durations and sizes as people write them. */
function withUnit(value: unknown, unit: string | undefined): string {
  if (unit === "ms") return formatDuration(Number(value));
  return unit === "bytes" ? formatSize(Number(value)) : String(value);
}

function describeAllowed({ kind, bounds, unit, expects }: Setting): string {
  if (bounds !== undefined) return ` From ${withUnit(bounds.min, unit)} to ${withUnit(bounds.max, unit)}.`;
  return kind === "text" ? ` Must be ${expects}.` : "";
}

function renderSetting(setting: Setting): string[] {
  const { path, env, flag, about } = setting;
  const option = flag === undefined ? "" : [flag.name, flag.argument].filter((part) => part !== undefined).join(" ");
  const meaning = `${about}${describeAllowed(setting)}`;
  return [formatCode(path), formatCode(env), option === "" ? "" : formatCode(option), formatDefault(setting), meaning];
}

function renderSection({ path, about }: Section): string {
  const own = settings.filter((setting) => setting.path.split(".").slice(0, -1).join(".") === path);
  const title = path === "" ? "## General" : `## ${formatCode(path)}`;
  const words = about === "" ? "" : `${about}\n\n`;
  if (own.length === 0) return words === "" ? "" : `${title}\n\n${words}`;
  return `${title}\n\n${words}${renderTable(["Key", "Environment", "Flag", "Default", "Meaning"], own.map(renderSetting))}\n`;
}

const EXAMPLE = `feed:
  relay:
    address: kubearmor.security.svc:32767
reports:
  maxBytes: 128Ki
  retentionMs: 14d
severity:
  thresholds: {low: 1, medium: 3, high: 6, critical: 9}
redaction:
  names: [pin]
  patterns: ["acct-[0-9]{8}"]
log:
  level: debug
`;

/** Returns the text of docs/configuration.md; throws when its own example is wrong. */
export function renderConfigurationPage(): string {
  const result = parseConfig({ fileText: EXAMPLE, filePath: "example", place: { identity: "docs" } });
  if ("problems" in result) throw new Error(formatProblems(result.problems));
  return `${GENERATED}

# Configuration

Every setting is a key of one YAML file (\`run --config FILE\`), an environment variable and, the main ones,
a flag. Precedence: flags, environment, file, defaults.
\`policy-violation-operator run --print-config\` prints what is in force and where each value came from.

\`\`\`yaml
${EXAMPLE}\`\`\`

An invalid configuration ends the program with exit code 2. All problems are reported at once, each with its
place, the value and the expected form; that includes unknown keys and unknown \`PVO_…\` variables. Values that
may hold a secret are not repeated.

- A duration (\`…Ms\`) is text such as \`30s\`, \`1h30m\` or \`30d\` (units ms, s, m, h, d, w), or a whole number of
  milliseconds. A size (\`…Bytes\`) is text such as \`512Ki\`, \`256Mi\` or \`1G\` (units k, M, G, T, Ki, Mi, Gi, Ti), or a
  whole number of bytes. \`--print-config\` prints numbers.
- In the environment a list is JSON, \`PVO_REDACTION_NAMES='["pin", "otp"]'\`, and an empty variable counts as not set.
- These must be in order: \`reports.minIntervalMs\` ≤ \`reports.maxIntervalMs\`;
  \`leaderElection.leaseDurationMs\` > \`renewDeadlineMs\` > 1.2 × \`retryPeriodMs\`;
  \`severity.thresholds\` low ≤ medium ≤ high ≤ critical.

${sections.map(renderSection).join("").trimEnd()}
`;
}

const REJECTED: Record<Rejection, string> = {
  no_policy: "an alert that names no policy and is not a throttle notice",
  invalid_wire: "bytes that are not an alert",
  message_too_large: "a message beyond `feed.relay.maxMessageBytes`",
  invalid_json: "a line that is not JSON",
  not_an_alert: "JSON without any field of an alert",
  line_too_long: "a line beyond the limit of its length",
  too_many_reports: "an alert that needs a report beyond `memory.maxReports`",
  too_many_reports_in_namespace: "an alert that needs a report beyond `memory.maxReportsPerNamespace` in its namespace",
};

const DISCONNECTED: Record<Disconnect["reason"], string> = {
  ok_end: "the peer ended the stream with status OK, as KubeArmor's relay does when it fails",
  error: "the peer or the network broke it",
  watchdog: "the stream was open, but a health check got no answer",
  connect_failed: "it could not be opened",
  node_down: "nodes are missing, where all are read directly (`feed.mode: nodes`)",
};

const WRITTEN: Record<WriteResult["kind"], string> = {
  written: "done",
  conflict: "another client had changed the report; it was read and written again",
  gone: "the report was deleted",
  namespace_gone: "its namespace is deleted or being deleted; the counts went to the cluster report",
  too_large: "refused for its size; a smaller one was written",
  retry: "the API server asked to try later",
  unknown: "no answer; a read shows if the write happened",
  refused: "refused for a reason that a person has to fix; the log has it",
};

const COPIED: Record<PublishResult, string> = {
  written: "done",
  unchanged: "the copy was up to date",
  conflict: "another program had changed it; read and written again",
  too_large: "refused for its size; written again with half of the results",
  retry: "the API server was unavailable or asked to try later",
  refused: "refused for a reason that a person must resolve; the log has it",
};

const SUPPRESSED: Record<SuppressReason, string> = {
  default_posture: "about KubeArmor's default posture, and `events.defaultPosture` is off",
  rate_limited: "the pod or node has used up its share of new Events",
};

const LOST: Record<LossReason, string> = {
  queue_full: "more than `events.maxQueued` waited",
  pod_gone: "the pod, the node or the namespace is gone",
  retries_exhausted: "the API server did not take it in several tries",
  refused: "the API server refused it; the log has the reason",
  evicted: "there were more than `events.maxSeries`",
  stopped: "the program stopped first",
};

const ANSWERED: Record<ApiErrorCode | "OK" | "NotInstalled", string> = {
  OK: "done",
  NotFound: "the object does not exist",
  NamespaceGone: "the namespace does not exist, or is being deleted",
  Conflict: "the object is not the version that was sent",
  AlreadyExists: "the object exists already",
  Forbidden: "the account lacks a right",
  Unauthorized: "the credentials were refused",
  NotServed: "the API server has no such resource; are the CRDs installed?",
  NotInstalled: "the same for OpenReports and KubeArmor's policies, which a cluster may lack",
  Throttled: "the API server asked to send less",
  TooLarge: "the object or the answer is beyond a limit",
  Invalid: "the API server understood and refused",
  Expired: "a list took too long and starts again",
  Unavailable: "nothing was carried out: no connection, or the server is unavailable",
  NotAnswered: "no answer; the request may have been carried out",
  Unknown: "anything else",
};

function renderValues(metric: string, label: string, values: Readonly<Record<string, string>>): string {
  const items = Object.entries(values).map(([value, meaning]) => `- ${formatCode(value)}: ${meaning}\n`);
  return `${formatCode(label)} of ${formatCode(metric)}:\n\n${items.join("")}\n`;
}

const VIOLATIONS = `The leader exports these, as it writes the reports: sum them over \`resource_namespace\`, \`policy\` and \`severity\`, never
over replicas (\`max by (…)\`, where two replicas could export at once). \`resource_namespace\` is that of the pods; Prometheus itself uses
\`namespace\` for that of the operator. It is \`_cluster\` for cluster reports. The first \`metrics.maxReportSeries\` reports
have series of their own; the sum of all others is under \`_other\`, and \`policy_violation_other_reports\` is not 0 then.

`;

const VALUE_LISTS: Readonly<Record<string, string>> = {
  Violations: VIOLATIONS,
  Alerts: renderValues("policy_violation_alerts_rejected_total", "reason", REJECTED),
  Stream: renderValues("policy_violation_stream_disconnects_total", "reason", DISCONNECTED),
  "Kubernetes API and Events":
    renderValues("policy_violation_api_requests_total", "code", ANSWERED) +
    renderValues("policy_violation_events_suppressed_total", "reason", SUPPRESSED) +
    renderValues("policy_violation_events_lost_total", "reason", LOST),
  OpenReports: renderValues("policy_violation_openreports_writes_total", "result", COPIED),
  "Report writes": renderValues("policy_violation_report_writes_total", "result", WRITTEN),
};

/** Returns the text of docs/metrics.md. */
export function renderMetricsPage(): string {
  const scale = { title: "Several processes (only where scale is used)", metrics: scaleMetrics };
  const groups = [...metricGroups, scale].map(({ title, metrics }) => {
    const rows = metrics.map(({ name, labels = [], help }) => {
      return [formatCode(name), getMetricType(name), labels.map(formatCode).join(", "), help];
    });
    if (title === "Report writes") {
      rows.push([formatCode(writeDurationDefinition.name), "histogram", "", writeDurationDefinition.help]);
    }
    return `## ${title}\n\n${renderTable(["Name", "Type", "Labels", "Meaning"], rows)}\n${VALUE_LISTS[title] ?? ""}`;
  });
  const info = [formatCode(buildInfoDefinition.name), "gauge", buildInfoDefinition.labels.map(formatCode).join(", ")];
  return `${GENERATED}

# Metrics

\`--metrics-address\` (default \`:8080\`) serves \`/metrics\` in Prometheus's text format. A page may be 200 ms old:
concurrent scrapes share it. Each connection carries one request. \`/healthz\` and \`/readyz\` have a port of their own,
\`--health-address\` (default \`:8081\`).
Counters begin at 0 with the process, except \`policy_violation_occurrences_total\`. Only the metrics under *Violations*
have labels that come from alerts; their number is bounded.

The counters reconcile at every scrape:
\`alerts_received_total\` = \`alerts_counted_total\` + \`alerts_duplicate_total\` + \`throttle_notices_total\` +
Σ \`alerts_rejected_total{reason}\` (all with the prefix \`policy_violation_\`).

${groups.join("")}## Process

${renderTable(["Name", "Type", "Labels", "Meaning"], [[...info, buildInfoDefinition.help]])}
In addition, the usual metrics of a Node.js process, among them
\`process_resident_memory_bytes\`, \`process_cpu_seconds_total\`, \`process_open_fds\`, \`nodejs_heap_size_used_bytes\`
and \`nodejs_eventloop_lag_p99_seconds\`.

## Alerts

\`charts/policy-violation-operator/files/alerts.yaml\` has the alert rules, which the chart installs as a PrometheusRule;
runbook.md has the steps for each of them. \`files/dashboard.json\` is a dashboard for Grafana.
`;
}

/** The generated documents by their path in the checkout. */
export const documents: ReadonlyMap<string, () => string> = new Map([
  ["docs/configuration.md", renderConfigurationPage],
  ["docs/metrics.md", renderMetricsPage],
  ["charts/policy-violation-operator/README.md", renderChartReadme],
  ["charts/policy-violation-operator/values.schema.json", buildValuesSchema],
  ...readdirSync(CRDS).map(
    (file) =>
      [`charts/policy-violation-operator/files/crds/${file}`, () => readFileSync(join(CRDS, file), "utf8")] as const,
  ),
]);

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  mkdirSync(join(root, "docs"), { recursive: true });
  for (const [path, text] of documents) {
    writeFileSync(join(root, path), text());
    console.log(`wrote ${path}`);
  }
}
