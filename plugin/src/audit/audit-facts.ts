// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What an audit page says, as numbers and lists; how it looks is decided elsewhere.
// Invariant: pure; the same reports at the same time give the same facts.

import type { Outcome, Report } from "../../../src/api/v1alpha1.ts";
import { spanOf, type Timeline, timelineOf } from "../reports/occurrences-over-time.ts";
import { byWorst, compare, reportPath, type ViolationRef } from "../reports/report-view.ts";

/** Of `unenforced` so many are listed apart: whoever has more needs the totals and the charts more. */
export const MAX_UNENFORCED = 50;

/** A bar: who, and how often what. */
export interface Ranked {
  name: string;
  counts: Record<Outcome, number>;
}

export interface Facts {
  nowMs: number;
  /** Where the reports come from and which were asked for, in words. */
  about: string;
  reports: readonly Report[];
  /** Worst first; accepted ones are in it, at the end. */
  violations: readonly ViolationRef[];
  accepted: number;
  counts: Record<Outcome, number>;
  /** Whether any of the numbers may be too low. */
  isLowerBound: boolean;
  /** What went through although the policy says Block. */
  unenforced: readonly ViolationRef[];
  timeline: Timeline | undefined;
  workloads: readonly Ranked[];
  policies: readonly Ranked[];
  /** Reports that do not hold everything, by path. */
  uncovered: readonly Report[];
}

const PARTS = 30;
const BARS = 10;

/** Gathers the facts of these violations and of the reports that they are in. */
export function factsOf(all: readonly ViolationRef[], about: string, nowMs: number): Facts {
  const violations = all.toSorted(byWorst);
  const reports = [...new Map(violations.map(({ report }) => [reportPath(report), report])).values()].sort(
    (a, b) => compare(reportPath(a), reportPath(b)),
  );
  const open = violations.filter(({ accepted }) => accepted === undefined);
  const span = spanOf(open);
  return {
    nowMs,
    about,
    reports,
    violations,
    accepted: violations.length - open.length,
    counts: sum(open),
    isLowerBound: reports.some(({ coverage }) => coverage.lowerBound),
    unenforced: open.filter(
      ({ violation: { action = "", outcome } }) => outcome === "Allowed" && /Block/.test(action),
    ),
    timeline: span && timelineOf(open, span.fromMs, span.toMs, PARTS),
    workloads: rank(open, ({ report, violation: { workload, namespace } }) => {
      const place = report.metadata.namespace ?? namespace;
      return `${place === undefined ? "" : `${place}/`}${workload.kind}/${workload.name}`;
    }),
    policies: rank(open, ({ report }) => reportPath(report)),
    uncovered: reports.filter(({ coverage, omitted }) => coverage.lowerBound || omitted !== undefined),
  };
}

function sum(found: readonly ViolationRef[]): Record<Outcome, number> {
  const counts: Record<Outcome, number> = { Allowed: 0, Prevented: 0, Unknown: 0 };
  for (const { violation } of found)
    counts[violation.outcome] = (counts[violation.outcome] ?? 0) + violation.occurrences;
  return counts;
}

/** What was allowed weighs first: one that went through is worse than many that were stopped. */
function rank(found: readonly ViolationRef[], nameOf: (found: ViolationRef) => string): Ranked[] {
  const groups = new Map<string, ViolationRef[]>();
  for (const one of found) {
    const name = nameOf(one);
    const group = groups.get(name);
    if (group) group.push(one);
    else groups.set(name, [one]);
  }
  return [...groups]
    .map(([name, group]) => ({ name, counts: sum(group) }))
    .sort(
      (a, b) =>
        b.counts.Allowed - a.counts.Allowed ||
        b.counts.Unknown - a.counts.Unknown ||
        b.counts.Prevented - a.counts.Prevented ||
        compare(a.name, b.name),
    )
    .slice(0, BARS);
}
