// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations that concern one object of the cluster.
// Invariant: pure; an object that a list does not name may still be concerned, and `unnamed` and `cut` say so.

import {
  compareWorst,
  getNamespace,
  listViolations,
  type ViolationRef,
} from "../../../plugin/src/reports/report-view.ts";
import type { Report, Violation } from "../../../src/api/v1alpha1.ts";

/** A pod, a workload or a node. */
export interface Subject {
  kind: string;
  name: string;
  /** Absent for a node. */
  namespace?: string;
}

/** A violation, with the occurrences that are the subject's own. */
export interface Finding {
  found: ViolationRef;
  /** Undefined where the report does not count them by this subject. */
  occurrences: number | undefined;
}

export interface Findings {
  findings: Finding[];
  /** Reports with a cut list, which may hide violations of the subject. */
  cut: readonly Report[];
  /** Violations that do not list all their pods, so that the subject may be one of those left out. */
  unnamed: number;
}

/** Returns every violation in the order of the kubectl plugin, the worst first. */
export function listWorstFirst(reports: readonly Report[]): ViolationRef[] {
  return listViolations(reports).sort(compareWorst);
}

/** Finds the violations that name the subject. */
export function findForSubject(reports: readonly Report[], subject: Subject): Findings {
  const { namespace } = subject;
  const isInScope = (ref: ViolationRef) => namespace === undefined || getNamespace(ref) === namespace;
  const scope = listWorstFirst(reports).filter(isInScope);
  const findings: Finding[] = [];
  let unnamed = 0;
  for (const found of scope) {
    const match = matchSubject(found.violation, subject);
    if (match !== undefined) findings.push({ found, ...match });
    else if (isCountedByPod(subject) && hasUnlistedPods(found.violation)) unnamed += 1;
  }
  const mayHide = ({ metadata }: Report) =>
    namespace === undefined || metadata.namespace === undefined || metadata.namespace === namespace;
  return { findings, cut: reports.filter((report) => report.omitted && mayHide(report)), unnamed };
}

function isCountedByPod({ kind }: Subject): boolean {
  return kind === "Pod" || kind === "Node";
}

function matchSubject(violation: Violation, { kind, name }: Subject): { occurrences: number | undefined } | undefined {
  const { workload, pods = [], node, occurrences } = violation;
  if (workload.kind === kind && matchesFolded(workload.name, name)) return { occurrences };
  if (!isCountedByPod({ kind, name })) return undefined;
  const own = pods.filter((pod) => (kind === "Pod" ? pod.name : pod.node) === name);
  if (own.length > 0) return { occurrences: own.reduce((sum, pod) => sum + pod.occurrences, 0) };
  return kind === "Node" && node === name ? { occurrences: undefined } : undefined;
}

/** A name in a report has `*` where the operator folds what changes at each run, as in `migrate-*`. */
function matchesFolded(folded: string, name: string): boolean {
  if (!folded.includes("*")) return folded === name;
  const parts = folded.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

/** A violation lists its most recent pods only, 10 by default. */
function hasUnlistedPods({ pods, occurrences }: Violation): boolean {
  if (pods === undefined) return false;
  return pods.reduce((sum, pod) => sum + pod.occurrences, 0) < occurrences;
}
