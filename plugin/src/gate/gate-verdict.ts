// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict of a gate, for every output form.
// Invariant: pure; PASSED only when every report was seen whole, as far as the filter reaches.

import { CLUSTER_LABEL } from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { countUnlistedAccepted, countUnlistedOpen, type Filter, OUTCOMES } from "../reports/filter.ts";
import { compareWorst, listViolations, reportPath, toViolationKey, type ViolationRef } from "../reports/report-view.ts";
import { describeCut, describeExpired, nameReports } from "../reports/totals.ts";
import { formatCount } from "../reports/words.ts";
import { plain } from "../text/escape.ts";

export type Decision = "PASSED" | "FAILED" | "UNKNOWN";

/**
 * Violations of a report beyond its list that are not known to be accepted; the number is a lower bound. The operator may
 * no longer have the details that an acceptance is matched with.
 */
export interface Unlisted {
  report: Report;
  violations: number;
}

export interface Verdict {
  /** Every report of the scope. */
  reports: readonly Report[];
  /** Open violations, worst first. */
  failed: ViolationRef[];
  /** Reports with open violations that are not listed, where that is certain. */
  unlisted: Unlisted[];
  /** Violations that an acceptance covers. */
  accepted: ViolationRef[];
  /** Violations that the baseline has. */
  known: ViolationRef[];
  /** Violations that left their list for their age, as a clause; "" where none did, or they could not match. */
  expired: string;
  /** Reasons why the gate can't pass, as clauses. */
  unknown: string[];
  /** Description of what was looked at, as a clause. */
  lookedAt: string;
  /** Age of the files, as a clause; undefined for a cluster. */
  snapshot: string | undefined;
}

/** A directory of known violations. */
export interface Baseline {
  has(found: ViolationRef): boolean;
  /** Reports whose cluster label differs from that of the same report among these, or of all of these. */
  findForeign(reports: readonly Report[]): Report[];
  /** Known violations of a report; undefined where the baseline's own list is cut. */
  countKnown(report: Report): number | undefined;
}

export function createBaseline(known: readonly Report[]): Baseline {
  const reports = new Map(known.map((report) => [reportPath(report), report]));
  const keys = new Set(listViolations(known).map(toViolationKey));
  return {
    has: (found) => keys.has(toViolationKey(found)),
    findForeign(current) {
      const clusters = new Map(current.map((report) => [reportPath(report), getCluster(report)]));
      const all = [...new Set(clusters.values())];
      return known.filter((report) => {
        const same = clusters.has(reportPath(report)) ? [clusters.get(reportPath(report))] : all;
        return same.length > 0 && !same.includes(getCluster(report));
      });
    },
    countKnown(report) {
      const same = reports.get(reportPath(report));
      if (same === undefined) return 0;
      return same.omitted === undefined ? same.violations.length : undefined;
    },
  };
}

/** Names of the clusters, as the operator's configuration has them. */
export function listClusters(reports: readonly Report[]): string[] {
  const names = reports.flatMap((report) => getCluster(report) ?? []);
  return [...new Set(names.map(plain))].sort(compare);
}

function getCluster({ metadata }: Report): string | undefined {
  return metadata.labels?.[CLUSTER_LABEL];
}

export function getDecision({ failed, unlisted: hidden, unknown }: Verdict): Decision {
  if (failed.length > 0 || hidden.length > 0) return "FAILED";
  return unknown.length > 0 ? "UNKNOWN" : "PASSED";
}

/** Says how many violations a report can't list, in a sentence. */
export function describeUnlisted({ violations }: Unlisted): string {
  const are = violations === 1 ? "is" : "are";
  return `At least ${formatCount(violations, "violation")} that ${are} not known to be accepted ${are} not listed: the report has no room.`;
}

/** The violations of a verdict that a document shows at most, open ones first. */
export type Shown = Pick<Verdict, "failed" | "accepted" | "known">;

/** Leaves out what is beyond a limit; `more` counts it. */
export function limitVerdict({ failed, accepted, known }: Verdict, limit: number): { shown: Shown; more: number } {
  const rest = (used: number) => Math.max(0, limit - used);
  const shown = {
    failed: failed.slice(0, limit),
    accepted: accepted.slice(0, rest(failed.length)),
    known: known.slice(0, rest(failed.length + accepted.length)),
  };
  return { shown, more: Math.max(0, failed.length + accepted.length + known.length - limit) };
}

/** Sorts what the filter selects into open, accepted and known violations, and finds what can't be seen. */
export function judge(
  reports: readonly Report[],
  filter: Filter,
  baseline: Baseline | undefined,
  about: Pick<Verdict, "lookedAt" | "snapshot">,
): Verdict {
  const verdict: Verdict = {
    reports,
    failed: [],
    unlisted: [],
    accepted: [],
    known: [],
    unknown: [],
    expired: describeExpired(...reports.filter(filter.mayHaveExpired)),
    ...about,
  };
  for (const found of listViolations(reports).filter(filter.matches).sort(compareWorst)) {
    if (found.accepted !== undefined) verdict.accepted.push(found);
    else if (baseline?.has(found)) verdict.known.push(found);
    else verdict.failed.push(found);
  }
  verdict.unknown.push(...findOtherCluster(reports, baseline));
  const cut = reports.filter(filter.mayHide);
  verdict.unlisted = cut.flatMap((report) => {
    const violations = countCertain(report, filter, baseline);
    return violations > 0 ? [{ report, violations }] : [];
  });
  const uncertain = cut.filter((report) => !verdict.unlisted.some((one) => one.report === report));
  if (uncertain.length > 0) verdict.unknown.push(`${describeCut(uncertain)}, and may be open`);
  return verdict;
}

/** A baseline that may be of another cluster, be it in part, shows nothing about this one. */
function findOtherCluster(reports: readonly Report[], baseline: Baseline | undefined): string[] {
  const foreign = baseline?.findForeign(reports) ?? [];
  if (foreign.length === 0) return [];
  return [
    `the baseline may be of another cluster: it has ${nameReports(foreign)} of ${nameClusters(foreign)}, and the reports ` +
      `are of ${nameClusters(reports)}; if it is this one, write the baseline again with \`kubectl violations export\``,
  ];
}

function nameClusters(reports: readonly Report[]): string {
  const named = listClusters(reports).map((name) => `the cluster ${name}`);
  const isUnnamed = reports.some((report) => getCluster(report) === undefined);
  return [...named, ...(isUnnamed ? ["a cluster without a name"] : [])].join(" and ");
}

/**
 * Counts the open violations that are certainly not listed: the omitted ones, less those that the summary has as
 * accepted. That one of them has the outcome is certain where the totals exceed the list by more than what left it for
 * its age.
 */
function countCertain(report: Report, filter: Filter, baseline: Baseline | undefined): number {
  const omitted = Math.max(0, (report.omitted?.violations ?? 0) - countUnlistedAccepted(report));
  // Occurrences of a listed violation may be among the omitted ones.
  if (omitted === 0 || !filter.isByOutcome || report.violations.some(({ lowerBound }) => lowerBound)) return 0;
  const expired = report.expired?.occurrences ?? 0;
  const matching = filter.outcomes.reduce((sum, outcome) => sum + countUnlistedOpen(report, outcome), 0);
  if (matching <= expired) return 0;
  const others = OUTCOMES.filter((outcome) => !filter.outcomes.includes(outcome));
  const isEvery = others.every((outcome) => countUnlistedOpen(report, outcome) === 0);
  const atLeast = isEvery ? omitted : 1;
  if (baseline === undefined) return atLeast;
  const known = baseline.countKnown(report);
  if (known === undefined) return 0;
  const listed = listViolations([report]).filter((found) => baseline.has(found)).length;
  return Math.max(0, atLeast - (known - listed));
}
