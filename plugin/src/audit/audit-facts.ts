// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The content of an audit: numbers, lists and what is unknown.
// Invariant: pure; totals come from summaries, and a statement on all violations is made from all violations.

import { CLUSTER_LABEL } from "../../../src/api/names.ts";
import type { Outcome, Report, SeverityLevel } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { countUnlisted, type Filter, type Selection, select } from "../reports/filter.ts";
import type { Heartbeat } from "../reports/heartbeat.ts";
import { buildTimeline, type Timeline } from "../reports/occurrences-over-time.ts";
import {
  compareWorst,
  getNamespace,
  getRuleFacts,
  getSeverityLevel,
  listViolations,
  reportPath,
  SEVERITIES,
  type ViolationRef,
} from "../reports/report-view.ts";
import { isOfBlockRule, isReplay, isUnenforced } from "../reports/sentences.ts";
import type { Acceptance } from "../reports/sources/report-source.ts";
import { describeUnseen, sumTotals, type Totals } from "../reports/totals.ts";

export interface AuditInput {
  nowMs: number;
  /** The scope and the filters, in words. */
  about: string;
  /** Name of the kubeconfig's context. */
  context: string | undefined;
  /** Undefined for files. */
  heartbeat: Heartbeat | undefined;
  /** Directory of the reports; undefined for a cluster. */
  directory: string | undefined;
  reports: readonly Report[];
  filter: Filter;
  /** Undefined when they could not be read. */
  acceptances: readonly Acceptance[] | undefined;
  version: string;
  /** Reports that could not be read. */
  leftOut: number;
}

/** A bar: a name and its occurrences. */
export interface Ranked {
  name: string;
  counts: Record<Outcome, number>;
}

/** Violations of one tag of a control catalog. */
export interface Control {
  catalog: string;
  tag: string;
  policies: number;
  violations: number;
  allowed: number;
}

/** Enforcement of the rules that say Block. */
export type Enforcement =
  | { state: "enforced" }
  | { state: "none" }
  | { state: "failed"; found: readonly ViolationRef[]; isAtLeast: boolean }
  | { state: "unknown"; why: string };

export interface Facts extends AuditInput {
  clusters: readonly string[];
  kubearmorVersions: readonly string[];
  period: { from: string; to: string } | undefined;
  /** Violations that the filter selects, accepted or not, worst first. */
  violations: readonly ViolationRef[];
  accepted: number;
  /** True when there may be more accepted violations. */
  isAcceptedAtLeast: boolean;
  matching: readonly Report[];
  cut: readonly Report[];
  /** Clauses on violations that may match and are in no list, besides those that cut lists leave out. */
  unseen: readonly string[];
  totals: Totals;
  /** Listed open violations by severity, worst first. */
  severities: readonly (readonly [SeverityLevel, number])[];
  enforcement: Enforcement;
  timeline: Timeline | undefined;
  workloads: readonly Ranked[];
  policies: readonly Ranked[];
  controls: readonly Control[];
  /** Reports with numbers that are lower bounds or with lists that are cut. */
  uncovered: readonly Report[];
}

const PARTS = 30;
const BARS = 10;

export function gatherFacts(input: AuditInput): Facts {
  const { reports, filter } = input;
  const all = listViolations(reports);
  const violations = all.filter(filter.matches).sort(compareWorst);
  const open = violations.filter(({ accepted }) => accepted === undefined);
  const matching = reports.filter(filter.matchesReport).toSorted((a, b) => compare(reportPath(a), reportPath(b)));
  const selection: Selection = select(reports, all, { ...filter, withAccepted: false });
  const times = matching.flatMap(({ summary }) => [summary.firstSeen, summary.lastSeen]).sort(compare);
  const distinct = (values: readonly (string | undefined)[]) =>
    [...new Set(values.filter((value): value is string => Boolean(value)))].sort(compare);
  // The operator's name for the cluster, else KubeArmor's, which is "default" where none was set.
  const named = distinct(matching.map(({ metadata }) => metadata.labels?.[CLUSTER_LABEL]));
  const reported = distinct(all.map(({ violation }) => violation.latest?.cluster));
  const timeline = buildTimeline(matching, selection, filter, { parts: PARTS });
  return {
    ...input,
    clusters: named.length > 0 ? named : reported.filter((name) => name !== "default"),
    kubearmorVersions: distinct(all.map(({ violation }) => violation.latest?.kubearmorVersion)),
    period: times.length === 0 ? undefined : { from: times[0] ?? "", to: times.at(-1) ?? "" },
    violations,
    accepted: filter.isWhole
      ? matching.reduce((sum, report) => sum + countAccepted(report), 0)
      : violations.length - open.length,
    // Of what a cut list leaves out, the operator may no longer have the details that an acceptance is matched with.
    isAcceptedAtLeast: selection.cut.length > 0 || (!filter.isWhole && selection.isHiddenAtLeast),
    matching,
    cut: selection.cut,
    unseen: describeUnseen(reports, filter, input.leftOut),
    totals: sumTotals(reports, selection, { ...filter, withAccepted: false }),
    severities: countSeverities(open),
    enforcement: findEnforcement(all, input),
    timeline,
    workloads: rank(open, (found) => {
      const { workload } = found.violation;
      const namespace = getNamespace(found);
      return `${namespace === "" ? "" : `${namespace}/`}${workload.kind}/${workload.name}`;
    }),
    policies: rank(open, ({ report }) => reportPath(report)),
    controls: countControls(open),
    uncovered: matching.filter(({ coverage, omitted }) => coverage.lowerBound || omitted !== undefined),
  };
}

/** From the summary, which reports without acceptances and those of earlier versions do not have. */
function countAccepted({ summary, violations }: Report): number {
  return summary.accepted?.violations ?? violations.filter(({ accepted }) => accepted !== undefined).length;
}

function countSeverities(open: readonly ViolationRef[]): [SeverityLevel, number][] {
  return SEVERITIES.toReversed().map((level) => [
    level,
    open.filter((found) => getSeverityLevel(found) === level).length,
  ]);
}

/** From every violation of every report: a filter or an acceptance changes nothing of what was enforced. */
function findEnforcement(all: readonly ViolationRef[], input: AuditInput): Enforcement {
  const ofBlock = all.filter(({ violation }) => isOfBlockRule(violation));
  const found = ofBlock.filter(({ violation }) => isUnenforced(violation)).sort(compareWorst);
  const why = findDoubt(all, ofBlock, input);
  if (found.length > 0) return { state: "failed", found, isAtLeast: why !== undefined };
  if (why !== undefined) return { state: "unknown", why };
  return { state: ofBlock.length > 0 ? "enforced" : "none" };
}

/** Reason for which more may have been allowed than is listed; undefined where all is known. */
function findDoubt(
  all: readonly ViolationRef[],
  ofBlock: readonly ViolationRef[],
  { reports, heartbeat, directory, leftOut }: AuditInput,
): string | undefined {
  const isHiding = reports.some(
    (report) =>
      (report.omitted !== undefined || report.expired !== undefined) &&
      countUnlisted(report, "Allowed") + countUnlisted(report, "Unknown") > 0,
  );
  if (leftOut > 0) return "reports could not be read";
  if (reports.length === 0) return "there is no report";
  if (isHiding) return "the lists of reports are cut, and may leave out what was allowed";
  if (ofBlock.some(({ violation }) => violation.outcome === "Unknown")) {
    return "alerts do not say if the action was prevented";
  }
  if (all.some(({ violation }) => !violation.action && violation.outcome !== "Prevented")) {
    return "alerts of what was allowed do not say what their rule is";
  }
  if (directory !== undefined || reports.some(isReplay)) return "files do not show gaps in the alert stream";
  if (heartbeat?.state === "cutOff") return "alerts may be missing now";
  if (heartbeat?.state !== "alive") return "the operator may not be running";
  return reports.some(({ coverage }) => coverage.lowerBound) ? "alerts are known to be missing" : undefined;
}

/** Allowed weighs first. */
function rank(found: readonly ViolationRef[], getName: (found: ViolationRef) => string): Ranked[] {
  const groups = new Map<string, Ranked>();
  for (const one of found) {
    const name = getName(one);
    const group = groups.get(name) ?? { name, counts: { Allowed: 0, Prevented: 0, Unknown: 0 } };
    group.counts[one.violation.outcome] += one.violation.occurrences;
    groups.set(name, group);
  }
  return [...groups.values()]
    .sort(
      (a, b) =>
        b.counts.Allowed - a.counts.Allowed ||
        b.counts.Unknown - a.counts.Unknown ||
        b.counts.Prevented - a.counts.Prevented ||
        compare(a.name, b.name),
    )
    .slice(0, BARS);
}

const CATALOGS: readonly (readonly [RegExp, string])[] = [
  [/mitre/i, "MITRE ATT&CK"],
  [/^(?:NIST|[A-Z]{2}-\d+)/i, "NIST"],
  [/^CIS/i, "CIS"],
  [/^PCI/i, "PCI DSS"],
  [/^(?:STIG|DISA)/i, "STIG"],
];

function countControls(open: readonly ViolationRef[]): Control[] {
  const groups = new Map<string, { found: ViolationRef[] }>();
  for (const one of open) {
    for (const tag of new Set(getRuleFacts(one).tags)) {
      const group = groups.get(tag) ?? { found: [] };
      group.found.push(one);
      groups.set(tag, group);
    }
  }
  return [...groups]
    .map(([tag, { found }]) => ({
      catalog: CATALOGS.find(([pattern]) => pattern.test(tag))?.[1] ?? "other tags",
      tag,
      policies: new Set(found.map(({ report }) => reportPath(report))).size,
      violations: found.length,
      allowed: found.filter(({ violation }) => violation.outcome === "Allowed").length,
    }))
    .sort((a, b) => compare(a.catalog, b.catalog) || compare(a.tag, b.tag));
}
