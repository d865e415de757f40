// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation together with its report, and fields that reports of other versions may lack.
// Invariant: read only; a field that is absent is unknown, never zero.

import { DEFAULT_THRESHOLDS, toSeverityLevel } from "../../../src/api/severity.ts";
import type { Outcome, Report, SeverityLevel, Violation } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";

export interface ViolationRef {
  report: Report;
  violation: Violation;
  /** Name of the acceptance that covers it. */
  accepted: string | undefined;
}

/** Worst last. A violation without a severity is not known to be harmless, so it ranks above `info`. */
export const SEVERITIES: readonly SeverityLevel[] = ["info", "unknown", "low", "medium", "high", "critical"];

/** Rank of a level; higher is worse. */
export function getSeverityRank(level: SeverityLevel): number {
  return SEVERITIES.indexOf(level);
}

/**
 * Level of a violation: of its own rule where that differs from the policy's. The thresholds are the operator's
 * configuration, so that the report's own pair (number, level) decides where it can.
 */
export function getSeverityLevel({ report, violation }: Pick<ViolationRef, "report" | "violation">): SeverityLevel {
  const own = violation.severity;
  const { severity: highest } = report.policy;
  const { severity: level, severityThresholds = DEFAULT_THRESHOLDS } = report.summary;
  if (own === undefined || own === highest) return level;
  const usual = toSeverityLevel(own || undefined, severityThresholds);
  const isAbove = usual !== "unknown" && level !== "unknown" && getSeverityRank(usual) > getSeverityRank(level);
  return isAbove ? level : usual;
}

export function getRuleFacts({ report, violation }: ViolationRef): { message?: string; tags: readonly string[] } {
  const message = violation.message ?? report.policy.message;
  return { ...(message === undefined ? {} : { message }), tags: violation.tags ?? report.policy.tags ?? [] };
}

const OUTCOME_RANK: Readonly<Record<Outcome, number>> = { Allowed: 2, Unknown: 1, Prevented: 0 };

export function listViolations(reports: readonly Report[]): ViolationRef[] {
  return reports.flatMap((report) =>
    report.violations.map((violation) => ({ report, violation, accepted: violation.accepted?.by || undefined })),
  );
}

/** Facts of the policy object as `[name, value]`, in words. */
export function describePolicyObjects({ policy }: Report): [string, string][] {
  const { provenance, objects = [], changedSinceLastSeen } = policy;
  const found = objects.map((object): [string, string] => {
    const { kind, namespace, generation, changedAt, source } = object;
    const by = source === undefined ? "" : `, managed by ${describeSource(source)}`;
    const changed = changedAt === undefined ? "" : `, changed ${changedAt.slice(0, 19)}Z`;
    return [kind, `${namespace ?? "cluster"}, generation ${generation}${changed}${by}`];
  });
  const states: Readonly<Record<string, string>> = {
    NotFound: "deleted: no such policy is in the cluster",
    Ambiguous: "several policies have this name",
    Unknown: "unknown: the operator cannot look policies up, for lack of rights or of KubeArmor's CRDs",
    NotApplicable: "none: a default posture, not a policy",
  };
  const state = provenance === undefined ? "unknown: the report was made without a cluster" : states[provenance];
  return [
    ...(state === undefined ? [] : [["policy object", state] as [string, string]]),
    ...found,
    ...(changedSinceLastSeen === true ? [["changed", "after the last violation"] as [string, string]] : []),
  ];
}

/** `Argo CD (Application shop)`. */
export function describeSource({
  tool,
  kind,
  name,
  namespace,
}: NonNullable<NonNullable<Report["policy"]["objects"]>[number]["source"]>): string {
  const where = `${kind ?? "application"} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
  const tools: Readonly<Record<string, string>> = { ArgoCD: "Argo CD" };
  return tool === undefined ? where : `${tools[tool] ?? tool} (${where})`;
}

/** `namespace/name`, or the bare name for a cluster report. */
export function reportPath({ metadata }: Pick<Report, "metadata">): string {
  return metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
}

/** Namespace of the violation; empty for a host's. */
export function getNamespace({ report, violation }: ViolationRef): string {
  return report.metadata.namespace ?? violation.namespace ?? "";
}

/** The violation in a few words, the object first: `exec /usr/bin/apt by /bin/bash`. */
export function formatTitle({ operation, verb, source, resource }: Violation): string {
  const action = verb ?? operation;
  const object = resource ?? "";
  const by = source && source !== object ? `by ${source}` : "";
  return [action, object, by].filter((part) => part !== "").join(" ");
}

/** Occurrences in pods that a violation has no room to list, and so on nodes that it does not name. */
export function countUnlistedPods({ pods = [], occurrences }: Violation): number {
  if (pods.length === 0) return 0;
  return Math.max(0, occurrences - pods.reduce((sum, pod) => sum + pod.occurrences, 0));
}

/** True for a count that may be too low. */
export function isLowerBound({ report, violation }: ViolationRef): boolean {
  return violation.lowerBound === true || report.coverage.lowerBound;
}

/** Names a violation of a report, unlike any other. */
export function toViolationKey({ report, violation }: ViolationRef): string {
  return `${reportPath(report)}\u0000${violation.id}`;
}

/** Worst first: open before accepted, severity, allowed before prevented, the most recent; then place and id. */
export function compareWorst(a: ViolationRef, b: ViolationRef): number {
  return (
    Number(a.accepted !== undefined) - Number(b.accepted !== undefined) ||
    getSeverityRank(getSeverityLevel(b)) - getSeverityRank(getSeverityLevel(a)) ||
    OUTCOME_RANK[b.violation.outcome] - OUTCOME_RANK[a.violation.outcome] ||
    compare(b.violation.lastSeen, a.violation.lastSeen) ||
    (a.report === b.report ? 0 : compare(reportPath(a.report), reportPath(b.report))) ||
    compare(a.violation.id, b.violation.id)
  );
}
