// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Compares raised alerts with the reports: counted twice, never raised, or missing without a declared gap.

import { MAX_COVERAGE_GAPS } from "../../../src/aggregate/counts/coverage-gap.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { formatMicroTime, parseMicroTime } from "../../../src/lib/time.ts";
import type { MemorySink } from "../memory-sink.ts";
import type { RaisedAlert } from "./simulated-nodes.ts";

export function findScaleProblems(sink: MemorySink, alerts: readonly RaisedAlert[]): string[] {
  const { reports, goneNamespaces } = sink;
  const problems = reports.flatMap(findContradictions);
  const counted = new Map<string, number>();
  for (const { resource = "", occurrences } of reports.flatMap(({ violations }) => violations))
    counted.set(resource, (counted.get(resource) ?? 0) + occurrences);
  for (const { resource, namespace, policy, us } of alerts) {
    // Alerts of a namespace that is gone are in the cluster report of their policy.
    const isGone = goneNamespaces.has(namespace);
    const scope = isGone ? undefined : namespace;
    const report = reports.find((one) => one.policy.name === policy && one.metadata.namespace === scope);
    const times = counted.get(resource) ?? 0;
    if (times > 1) problems.push(`${resource} of ${policy} was counted ${times} times`);
    if (times === 0 && !isDeclared(report, us) && !(isGone && wasReported(sink, namespace, resource)))
      problems.push(`${resource} of ${policy} at ${formatMicroTime(us)} is missing, and no gap says so`);
    counted.delete(resource);
  }
  for (const resource of counted.keys()) problems.push(`${resource} was never raised`);
  return problems;
}

function findContradictions({ violations, summary, policy, coverage, metadata }: Report): string[] {
  const problems: string[] = [];
  const listed = coverage.recent?.length ?? 0;
  // Owners of two partitions may declare one gap in a cluster report at the same moment.
  if (metadata.namespace !== undefined && listed < MAX_COVERAGE_GAPS && listed !== coverage.gaps)
    problems.push(`${policy.name}: ${coverage.gaps} gaps, ${listed} listed`);
  const sum = violations.reduce((total, { occurrences }) => total + occurrences, 0);
  if (sum !== summary.occurrences) problems.push(`${policy.name}: ${summary.occurrences} in all, ${sum} listed`);
  return problems;
}

/** True where a report held it that went with its namespace. */
function wasReported({ history }: MemorySink, namespace: string, resource: string): boolean {
  const reports = history.map(({ report }) => report).filter(({ metadata }) => metadata.namespace === namespace);
  return reports.some(({ violations }) => violations.some((violation) => violation.resource === resource));
}

function isDeclared(report: Report | undefined, us: number): boolean {
  const { recent = [], gaps = 0 } = report?.coverage ?? {};
  const listed = recent.map(({ from, to }) => ({
    fromUs: parseMicroTime(from) ?? 0,
    toUs: parseMicroTime(to ?? "") ?? Number.POSITIVE_INFINITY,
  }));
  if (listed.some(({ fromUs, toUs }) => fromUs <= us && us <= toUs)) return true;
  // Older ones are counted, and not listed any more.
  return gaps > MAX_COVERAGE_GAPS && listed.every(({ fromUs }) => us < fromUs);
}
