// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Maps a stored report to an OpenReports Report. docs/openreports.md has the mapping as a table.
// Invariant: a function of its arguments; the same stored report gives the same object.

import {
  API_GROUP_VERSION,
  ARGO_COMPARE_ANNOTATION,
  ARGO_COMPARE_VALUE,
  MANAGED_BY_LABEL,
  PRODUCT,
} from "../api/names.ts";
import {
  CLUSTER_OPENREPORT_KIND,
  OPENREPORT_KIND,
  OPENREPORT_NAME_PREFIX,
  OPENREPORT_SOURCE,
  OPENREPORTS_GROUP_VERSION,
  type OpenReport,
  type OpenReportLimits,
  type OpenReportResult,
  type ResultSeverity,
  type ResultStatus,
} from "../api/openreports.ts";
import { type SeverityThresholds, toSeverityLevel } from "../api/severity.ts";
import type { Report, SeverityLevel, Violation, Workload } from "../api/v1alpha1.ts";
import { stableHash } from "../lib/hash.ts";
import { parseMicroTime } from "../lib/time.ts";

export interface OpenReportOptions {
  /** Results per report, including the one for all unlisted violations. */
  maxResults: number;
  /** Result status per outcome, and of accepted violations. */
  results: Readonly<Record<"allowed" | "prevented" | "unknown" | "accepted", ResultStatus>>;
  thresholds: SeverityThresholds;
  /** Severity where the policy sets none: readers leave results without one out of their charts. */
  unknownSeverity: ResultSeverity;
  /** Adds the property `cluster`; empty adds none. */
  clusterName: string;
  /** Upper bound of any limit; undefined is none. */
  mostThatFit?: number | undefined;
}

/** Longest name of an object in Kubernetes. */
const MAX_NAME_LENGTH = 253;
const MAX_NAMED = 3;

const API_VERSIONS: Readonly<Record<string, string>> = {
  Deployment: "apps/v1",
  StatefulSet: "apps/v1",
  DaemonSet: "apps/v1",
  ReplicaSet: "apps/v1",
  Job: "batch/v1",
  CronJob: "batch/v1",
  Pod: "v1",
  Node: "v1",
  Namespace: "v1",
  ReplicationController: "v1",
};

/** Returns the name of the OpenReports object of a report; a name beyond 253 characters ends in a hash. */
export function openReportName(reportName: string): string {
  const name = OPENREPORT_NAME_PREFIX + reportName;
  if (name.length <= MAX_NAME_LENGTH) return name;
  const hash = stableHash(name, 8);
  return `${name.slice(0, MAX_NAME_LENGTH - hash.length - 1).replace(/[-.]+$/, "")}-${hash}`;
}

/**
 * Maps a report that the API server has stored: it needs metadata.uid. `limits` are those of the stored OpenReports
 * object and take precedence over `options.maxResults`.
 */
export function toOpenReport(
  report: Report,
  options: OpenReportOptions,
  limits: OpenReportLimits | undefined,
): OpenReport {
  const { name, namespace, uid } = report.metadata;
  const results = listResults(report, options, limits);
  const summary = { pass: 0, fail: 0, warn: 0, error: 0, skip: 0 };
  for (const { result } of results) summary[result]++;
  return {
    apiVersion: OPENREPORTS_GROUP_VERSION,
    kind: namespace === undefined ? CLUSTER_OPENREPORT_KIND : OPENREPORT_KIND,
    metadata: {
      name: openReportName(name),
      ...(namespace === undefined ? {} : { namespace }),
      labels: { [MANAGED_BY_LABEL]: PRODUCT },
      annotations: { [ARGO_COMPARE_ANNOTATION]: ARGO_COMPARE_VALUE },
      // The garbage collector removes the copy with the report, so no right to delete is needed.
      ownerReferences: [{ apiVersion: API_GROUP_VERSION, kind: report.kind, name, uid: uid ?? "" }],
    },
    source: OPENREPORT_SOURCE,
    ...(limits === undefined ? {} : { configuration: { limits } }),
    summary,
    results,
  };
}

function listResults(
  report: Report,
  options: OpenReportOptions,
  { maxResults, statusFilter = [] }: OpenReportLimits = {},
): OpenReportResult[] {
  const limit = maxResults !== undefined && maxResults > 0 ? maxResults : options.maxResults;
  const max = Math.min(limit, options.mostThatFit ?? limit);
  const isWanted = (result: ResultStatus) => statusFilter.length === 0 || statusFilter.includes(result);
  const toResultStatus = ({ accepted, outcome }: Violation): ResultStatus =>
    options.results[accepted ? "accepted" : (outcome.toLowerCase() as "allowed" | "prevented" | "unknown")];
  const omittedStatus = (["warn", ...Object.values(options.results)] as const).find(isWanted);
  if (omittedStatus === undefined) return [];
  const wanted = report.violations.filter((violation) => isWanted(toResultStatus(violation)));
  const { violations: cut, occurrences: cutOccurrences } = report.omitted ?? { violations: 0, occurrences: 0 };
  const listed = wanted.length + Number(cutOccurrences > 0) <= max ? wanted : wanted.slice(0, max - 1);
  const results = listed.map((violation) => toResult(report, violation, toResultStatus(violation), options));
  const unlisted = wanted.slice(listed.length);
  if (unlisted.length + cutOccurrences === 0) return results;
  const occurrences = unlisted.reduce((sum, each) => sum + each.occurrences, 0);
  const total = { violations: unlisted.length + cut, occurrences: occurrences + cutOccurrences };
  return [...results, toOmittedResult(report, total, omittedStatus, options)];
}

function toResult(
  report: Report,
  violation: Violation,
  result: ResultStatus,
  options: OpenReportOptions,
): OpenReportResult {
  const { policy } = report;
  const { severity = policy.severity, tags = policy.tags, message = policy.message } = violation;
  return {
    source: OPENREPORT_SOURCE,
    policy: policy.name,
    rule: violation.operation,
    category: tags?.[0] ?? policy.kind,
    severity: known(toSeverityLevel(severity || undefined, options.thresholds), options),
    result,
    scored: violation.action?.includes("Block") ?? false,
    timestamp: toTimestamp(violation.lastSeen),
    resources: [toResource(violation.workload, violation.namespace ?? report.metadata.namespace)],
    message: [asSentence(message ?? ""), describe(violation)].filter((part) => part !== "").join(" "),
    properties: properties(report, violation, options),
  };
}

function toOmittedResult(
  report: Report,
  omitted: { violations: number; occurrences: number },
  result: ResultStatus,
  options: OpenReportOptions,
): OpenReportResult {
  const { policy, summary } = report;
  return {
    source: OPENREPORT_SOURCE,
    policy: policy.name,
    rule: "omitted",
    category: policy.tags?.[0] ?? policy.kind,
    severity: known(summary.severity, options),
    result,
    scored: false,
    timestamp: toTimestamp(summary.lastSeen),
    message: "More violations of this policy are counted in the report than are listed here.",
    properties: {
      resultID: resultId(report, "omitted"),
      violations: String(omitted.violations),
      occurrences: String(omitted.occurrences),
      ...(options.clusterName === "" ? {} : { cluster: options.clusterName }),
    },
  };
}

/** Unique in the cluster; the violation's own id is the same in every report that lists such a violation. */
function resultId({ metadata }: Report, id: string): string {
  return stableHash(`${metadata.namespace ?? ""}/${metadata.name}/${id}`, 16);
}

function known(level: SeverityLevel, { unknownSeverity }: OpenReportOptions): ResultSeverity {
  return level === "unknown" ? unknownSeverity : level;
}

function toTimestamp(time: string): { seconds: number; nanos: number } {
  const us = parseMicroTime(time) ?? 0;
  const seconds = Math.floor(us / 1_000_000);
  return { seconds, nanos: (us - seconds * 1_000_000) * 1000 };
}

function toResource({ kind, name }: Workload, namespace: string | undefined) {
  const apiVersion = API_VERSIONS[kind];
  return {
    ...(apiVersion === undefined ? {} : { apiVersion }),
    kind,
    name,
    ...(kind === "Node" || namespace === undefined ? {} : { namespace }),
  };
}

const OUTCOMES = { Prevented: "was prevented", Allowed: "was allowed", Unknown: "was reported" } as const;

/** One sentence that stays the same while the violation repeats: no counts, times or pods. */
function describe({ operation, verb, resource, source, container, outcome }: Violation): string {
  const what = [operation, verb, resource].filter((part) => part).join(" ");
  const by = source ? ` by ${source}` : "";
  const where = container ? ` in container ${container}` : "";
  return `${what}${by}${where} ${OUTCOMES[outcome]}.`;
}

function asSentence(text: string): string {
  return text === "" || /[.!?…]$/.test(text) ? text : `${text}.`;
}

function properties(report: Report, violation: Violation, options: OpenReportOptions): Record<string, string> {
  const { coverage } = report;
  const { latest, node } = violation;
  const isLowerBound = coverage.lowerBound || violation.lowerBound === true;
  const all: Record<string, string | undefined> = {
    resultID: resultId(report, violation.id),
    violation: violation.id,
    cluster: options.clusterName,
    outcome: violation.outcome,
    occurrences: `${violation.occurrences}${isLowerBound ? "+" : ""}`,
    firstSeen: violation.firstSeen,
    lastSeen: violation.lastSeen,
    accepted: violation.accepted?.by,
    action: violation.action,
    container: violation.container,
    command: latest?.command,
    image: latest?.image,
    node: node ?? latest?.node,
    enforcer: latest?.enforcer,
    pods: firstFew(violation.pods?.map(({ name }) => name)),
    lowerBound: isLowerBound ? "true" : undefined,
    missing: firstFew(
      coverage.recent?.map(({ kind, seconds }) => (seconds === undefined ? kind : `${kind} ${seconds} s`)),
    ),
  };
  const set = Object.entries(all).filter((entry): entry is [string, string] => Boolean(entry[1]));
  return Object.fromEntries(set);
}

function firstFew(names: readonly string[] = []): string {
  const shown = names.slice(0, MAX_NAMED).join(", ");
  return names.length > MAX_NAMED ? `${shown} and others` : shown;
}
