// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Totals of the selected violations. A report's list may be cut, its summary never is, so that totals come from summaries
// wherever the filter allows it, and are lower bounds elsewhere.

import type { Outcome, Report } from "../../../src/api/v1alpha1.ts";
import { plain } from "../text/escape.ts";
import type { Filter, Selection } from "./filter.ts";
import { isLowerBound, reportPath } from "./report-view.ts";
import { formatCount } from "./words.ts";

export interface Totals {
  counts: Record<Outcome, number>;
  /** True when there may be more occurrences than these. */
  isAtLeast: boolean;
  violations: number;
  /** True when there may be more violations than these. */
  isListAtLeast: boolean;
}

/** Adds up what was asked for. */
export function sumTotals(reports: readonly Report[], selection: Selection, filter: Filter): Totals {
  return filter.isByOutcome ? sumSummaries(reports, selection, filter) : sumList(selection);
}

function sumList({ found, cut }: Selection): Totals {
  const counts: Record<Outcome, number> = { Allowed: 0, Prevented: 0, Unknown: 0 };
  for (const { violation } of found) counts[violation.outcome] += violation.occurrences;
  const isListAtLeast = cut.length > 0;
  const isAtLeast = isListAtLeast || found.some(isLowerBound);
  return { counts, isAtLeast, violations: found.length, isListAtLeast };
}

function sumSummaries(reports: readonly Report[], selection: Selection, filter: Filter): Totals {
  const counts: Record<Outcome, number> = { Allowed: 0, Prevented: 0, Unknown: 0 };
  let violations = 0;
  let isAtLeast = false;
  for (const report of reports.filter(filter.matchesReport)) {
    const { summary, coverage } = report;
    const isAll = filter.withAccepted || !report.violations.some(({ accepted }) => accepted);
    const share = filter.withAccepted ? summary : (summary.open ?? (isAll ? summary : undefined));
    // Only earlier versions write accepted violations without the open share.
    if (share === undefined) return sumList(selection);
    if (filter.outcomes.includes("Allowed")) counts.Allowed += share.allowed;
    if (filter.outcomes.includes("Prevented")) counts.Prevented += share.prevented;
    if (filter.outcomes.includes("Unknown")) counts.Unknown += share.unknown;
    violations += share.violations;
    isAtLeast ||= coverage.lowerBound;
  }
  // A summary does not count violations by outcome.
  if (filter.outcomes.length === 3) return { counts, isAtLeast, violations, isListAtLeast: isAtLeast };
  return { counts, isAtLeast, violations: selection.found.length, isListAtLeast: selection.cut.length > 0 };
}

const MAX_NAMED = 3;

/** Violations and occurrences that no list of these reports holds. */
export function sumOmitted(reports: readonly Report[]): { violations: number; occurrences: number } {
  const sum = { violations: 0, occurrences: 0 };
  for (const { omitted } of reports) {
    sum.violations += omitted?.violations ?? 0;
    sum.occurrences += omitted?.occurrences ?? 0;
  }
  return sum;
}

/** `2 reports are cut (shop/a, shop/b): 12 violations with 40 occurrences are only in the totals`, without a stop. */
export function describeCut(cut: readonly Report[]): string {
  const { violations, occurrences } = sumOmitted(cut);
  const is = (n: number) => (n === 1 ? "is" : "are");
  const lists = cut.length === 1 ? "the list of 1 report is" : `the lists of ${formatCount(cut.length, "report")} are`;
  return (
    `${lists} cut (${nameReports(cut)}): ${formatCount(violations, "violation")} with ` +
    `${formatCount(occurrences, "occurrence")} ${is(violations)} only in the totals`
  );
}

/** `2 violations with 3 occurrences left the list for their age; only the totals have them`; "" where none did. */
export function describeExpired(...reports: readonly Report[]): string {
  const sum = { violations: 0, occurrences: 0 };
  for (const { expired } of reports) {
    sum.violations += expired?.violations ?? 0;
    sum.occurrences += expired?.occurrences ?? 0;
  }
  if (sum.violations === 0) return "";
  const [their, them] = sum.violations === 1 ? ["its", "it"] : ["their", "them"];
  return (
    `${formatCount(sum.violations, "violation")} with ${formatCount(sum.occurrences, "occurrence")} left the list for ` +
    `${their} age; only the totals have ${them}`
  );
}

/** `alerts are known to be missing in 2 reports (shop/a, shop/b)`; "" where none are. */
export function describeMissing(reports: readonly Report[]): string {
  const found = reports.filter(({ coverage }) => coverage.lowerBound);
  if (found.length === 0) return "";
  return `alerts are known to be missing in ${formatCount(found.length, "report")} (${nameReports(found)})`;
}

/** Clauses on violations that may match and are in no list, besides those that cut lists leave out. */
export function describeUnseen(reports: readonly Report[], filter: Filter, leftOut: number): string[] {
  return [
    leftOut > 0 ? `${formatCount(leftOut, "report")} could not be read` : "",
    describeExpired(...reports.filter(filter.mayHaveExpired)),
    describeMissing(reports),
  ].filter((clause) => clause !== "");
}

/** Says how many accepted violations are left out, without a stop; "" where none are. */
export function describeAccepted({ hidden, isHiddenAtLeast }: Selection): string {
  if (hidden === 0) return "";
  const least = isHiddenAtLeast ? "at least " : "";
  return `${least}${formatCount(hidden, "accepted violation")} ${hidden === 1 ? "is" : "are"} not shown`;
}

/** Says that nothing is found, without a stop: that there is none only where all was looked at. */
export function describeNone({ hidden, isHiddenAtLeast, cut }: Selection, unseen: readonly string[]): string {
  if (cut.length + unseen.length > 0) return "No listed violation matches";
  return hidden > 0 || isHiddenAtLeast ? "No open violations found" : "No violations found";
}

/** The first few paths of reports. */
export function nameReports(reports: readonly Report[]): string {
  const named = reports.slice(0, MAX_NAMED).map((report) => plain(reportPath(report)));
  if (reports.length > MAX_NAMED) named.push(`and ${reports.length - MAX_NAMED} more`);
  return named.join(", ");
}
