// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What the plugin looks at: one violation together with the report that it is in, and fields that newer operators add.
// Invariant: read only; a field that is not there, or of another form, is as if it were not there.

import type { Outcome, Report, SeverityLevel, Violation } from "../../../src/api/v1alpha1.ts";

/** A violation and where it was found. */
export interface ViolationRef {
  report: Report;
  violation: Violation;
  /** The name of the acceptance that covers it. */
  accepted: string | undefined;
}

/** Worst last. What nobody gave a severity is not known to be harmless, so it stands above `info`. */
export const SEVERITIES: readonly SeverityLevel[] = ["info", "unknown", "low", "medium", "high", "critical"];

/** How bad a level is; higher is worse. */
export function severityRank(level: SeverityLevel): number {
  return SEVERITIES.indexOf(level);
}

const OUTCOME_RANK: Readonly<Record<Outcome, number>> = { Allowed: 2, Unknown: 1, Prevented: 0 };

/** Every violation that the reports list. */
export function violationsOf(reports: readonly Report[]): ViolationRef[] {
  return reports.flatMap((report) =>
    report.violations.map((violation) => ({ report, violation, accepted: acceptedBy(violation) })),
  );
}

/** The name of the acceptance that covers a violation. */
export function acceptedBy(violation: Violation): string | undefined {
  // A report in a file is what somebody put there.
  const by: unknown = violation.accepted?.by;
  return typeof by === "string" && by !== "" ? by : undefined;
}

/** What is known of the policy object: one `key: value` per line, nested keys joined with a dot. */
export function provenanceOf(report: Report): [string, string][] {
  const { provenance } = report.policy as Report["policy"] & { provenance?: unknown };
  if (isObject(provenance)) return flatten(provenance, "");
  if (typeof provenance !== "string") return [];
  const { objects, changedSinceLastSeen } = report.policy;
  const found = (Array.isArray(objects) ? (objects as unknown[]) : []).filter(isObject);
  return [
    ["provenance", provenance],
    ...found.flatMap((one, i) => flatten(one, found.length > 1 ? `${i + 1}.` : "")),
    ...(changedSinceLastSeen === true ? [["changedSinceLastSeen", "true"] as [string, string]] : []),
  ];
}

function flatten(value: Record<string, unknown>, prefix: string): [string, string][] {
  return Object.entries(value).flatMap(([key, inner]): [string, string][] => {
    if (isObject(inner)) return flatten(inner, `${prefix}${key}.`);
    if (Array.isArray(inner)) return [[prefix + key, inner.map((one) => scalar(one)).join(", ")]];
    return [[prefix + key, scalar(inner)]];
  });
}

function scalar(value: unknown): string {
  return isObject(value) ? JSON.stringify(value) : String(value);
}

/** A known hole in what was counted. */
export interface Gap {
  kind: string;
  from: string;
  to?: string;
  seconds?: number;
  container?: string;
  pod?: string;
  node?: string;
  count?: number;
}

/** The newest holes, newest first; empty when the report lists none. */
export function recentGaps(report: Report): Gap[] {
  const { recent } = report.coverage as { recent?: unknown };
  if (!Array.isArray(recent)) return [];
  return recent.filter(
    (gap): gap is Gap => isObject(gap) && typeof gap["kind"] === "string" && typeof gap["from"] === "string",
  );
}

/** `namespace/name`, or the bare name for the cluster report. */
export function reportPath({ metadata }: Report): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** The namespace of what was done, as far as it has one. */
export function namespaceOf({ report, violation }: ViolationRef): string {
  return report.metadata.namespace ?? violation.namespace ?? "";
}

/** What was done in a few words: `Process /bin/bash → /usr/bin/apt`. */
export function deedOf({ operation, source, resource }: Violation): string {
  const target = resource !== undefined && resource !== source ? resource : undefined;
  const parts = [source, target].filter((part) => part !== undefined && part !== "");
  return parts.length === 0 ? operation : `${operation} ${parts.join(" → ")}`;
}

/** Whether the number of a violation may be too low. */
export function isLowerBound({ report, violation }: ViolationRef): boolean {
  return violation.lowerBound === true || report.coverage.lowerBound;
}

/** Worst first: what nobody accepted, severity, what was not stopped, the most recent; then by place and id. */
export function byWorst(a: ViolationRef, b: ViolationRef): number {
  return (
    Number(a.accepted !== undefined) - Number(b.accepted !== undefined) ||
    severityRank(b.report.summary.severity) - severityRank(a.report.summary.severity) ||
    OUTCOME_RANK[b.violation.outcome] - OUTCOME_RANK[a.violation.outcome] ||
    compare(b.violation.lastSeen, a.violation.lastSeen) ||
    (a.report === b.report ? 0 : compare(reportPath(a.report), reportPath(b.report))) ||
    compare(a.violation.id, b.violation.id)
  );
}

/** Order by code unit, the same on every machine. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
