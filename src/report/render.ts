// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A ledger as the report that users see: order, limits, severity.
// Invariant: the same counts give the same bytes, and the summary is exact whatever the limits cut from the list.

import { isDeletion, renderCoverageGap } from "../aggregate/counts/coverage-gap.ts";
import { findHighestSeverity } from "../aggregate/entries/counted.ts";
import type { Entry } from "../aggregate/entries/entry.ts";
import { selectFairest } from "../aggregate/entries/ranking.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { listWritten } from "../aggregate/unresolved-entries.ts";
import { DEFAULT_THRESHOLDS, type SeverityThresholds, toSeverityLevel } from "../api/severity.ts";
import type { CoveredNodes, Expired, Omitted, Policy, ReportBody, Summary, Violation } from "../api/v1alpha1.ts";
import { compare } from "../lib/compare.ts";
import { runAtOnce, type Steps, visitInSteps } from "../lib/pacing/steps.ts";
import { type EpochUs, formatMicroTime } from "../lib/time.ts";
import { type AcceptedCounts, divide } from "./acceptance-match.ts";
import type { AcceptanceCatalog } from "./acceptance-set.ts";
import { findProvenance, type PolicyCatalog, type ProvenanceFacts } from "./provenance.ts";
import { renderHistory } from "./render-history.ts";
import { renderViolation } from "./render-violation.ts";
import { RenderedViolations } from "./rendered-violations.ts";

export interface ReportLimits {
  maxViolations: number;
  /** Bytes of the report as JSON, without its metadata. */
  maxBytes: number;
  maxPodsPerViolation: number;
}

export interface RenderOptions {
  limits: ReportLimits;
  severity: SeverityThresholds;
  /** Since when the stream has been read without a known gap; undefined while it is down, and for files. */
  continuousSinceUs: EpochUs | undefined;
  /** Only where nodes are read directly. */
  nodes?: CoveredNodes | undefined;
  /** The policy objects of the cluster; without it reports say nothing of them. */
  policies?: PolicyCatalog | undefined;
  /** Acceptances; undefined: nothing is accepted. */
  acceptances?: AcceptanceCatalog | undefined;
  /** Violations rendered before; without it each is rendered. */
  rendered?: RenderedViolations | undefined;
}

/** Renders what is committed and in flight. */
export function renderReport(ledger: Ledger, options: RenderOptions): ReportBody {
  return runAtOnce(renderInSteps(ledger, options));
}

/** Violations rendered in one step: some milliseconds of work. */
const STEP = 32;

/**
 * Renders as renderReport does, in steps between which others may have their turn: alerts may be added meanwhile, but
 * nothing may be committed, put back or taken.
 */
export function* renderInSteps(ledger: Ledger, options: RenderOptions): Steps<ReportBody> {
  const totals = ledger.counts.written;
  const { expired } = totals;
  const policySeverity = yield* findHighestSeverity(ledger.entries.values(), ledger.policy.severityFloor);
  ledger.policy.renderedSeverity = policySeverity;
  const policy = renderPolicy(ledger, policySeverity, options.policies);
  const coverage = {
    ...(options.continuousSinceUs === undefined ? {} : { continuousSince: formatMicroTime(options.continuousSinceUs) }),
    ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
    gaps: totals.gaps,
    throttleNotices: totals.throttleNotices,
    ...(totals.rejected === 0 ? {} : { rejected: totals.rejected }),
    ...(totals.withoutDetails === 0 ? {} : { withoutDetails: totals.withoutDetails }),
    lowerBound:
      totals.gaps + totals.throttleNotices + totals.rejected + totals.withoutDetails > 0 ||
      totals.coverageGaps.some(isDeletion),
    ...(totals.coverageGaps.length === 0 ? {} : { recent: totals.coverageGaps.map(renderCoverageGap) }),
  };
  const { maxBytes } = options.limits;
  const summary = renderSummary(ledger, policy.severity, options.severity, maxBytes);
  const room = maxBytes - jsonBytes({ policy, summary, coverage }) - SLACK_BYTES;
  const { violations, unlisted } = yield* listed(ledger, policy, options, room);
  const omitted = countOmitted(summary, violations, expired);
  summary.violations = violations.length + (omitted?.violations ?? 0) + expired.violations;
  const marked = [...violations.filter((each) => each.accepted), ...unlisted];
  const openSeverity =
    marked.length === 0
      ? policySeverity
      : yield* findHighestSeverity(
          ledger.entries.values(),
          ledger.policy.severityFloor,
          new Set(marked.map(({ id }) => id)),
        );
  return {
    policy,
    summary: { ...summary, ...divide(summary, marked, toSeverityLevel(openSeverity || undefined, options.severity)) },
    violations,
    ...(omitted ? { omitted } : {}),
    ...(expired.violations > 0 ? { expired: { ...expired } } : {}),
    coverage,
  };
}

/** For `open`, `accepted`, `omitted`, `expired`, the keys around the list, and digits that grow. */
const SLACK_BYTES = 640;

function renderPolicy(ledger: Ledger, severity: number, policies: PolicyCatalog | undefined): Policy {
  const { tags, message } = ledger.policy.written;
  const { kind, ...found } = findLedgerProvenance(ledger, policies);
  return {
    name: ledger.policyName,
    kind,
    ...(severity > 0 ? { severity } : {}),
    ...(tags.length > 0 ? { tags: [...tags] } : {}),
    ...(message === "" ? {} : { message }),
    ...found,
  };
}

/** Fields about the policy's object that a report of the ledger would have if it was written now. */
export function findLedgerProvenance(ledger: Ledger, policies: PolicyCatalog | undefined): ProvenanceFacts {
  const { kind } = ledger.policy.written;
  const { namespace, policyName: name } = ledger;
  const { lastUs } = ledger.counts.written;
  return findProvenance({ namespace, name, kind, lastUs }, policies);
}

/** Share of a report's bytes that the history may take; a larger one is left out. */
const HISTORY_SHARE = 0.25;

function renderSummary(
  ledger: Ledger,
  severity: number | undefined,
  thresholds: SeverityThresholds,
  maxBytes: number,
): Summary {
  const totals = ledger.counts.written;
  const history = renderHistory(totals.history);
  return {
    occurrences: totals.occurrences,
    prevented: totals.prevented,
    allowed: totals.allowed,
    unknown: totals.unknown,
    violations: ledger.counts.violations,
    workloads: ledger.subjects.workloads.count,
    pods: ledger.subjects.pods.count,
    nodes: ledger.subjects.nodes.count,
    severity: toSeverityLevel(severity, thresholds),
    ...(isDefault(thresholds) ? {} : { severityThresholds: { ...thresholds } }),
    firstSeen: formatMicroTime(totals.firstUs),
    lastSeen: formatMicroTime(totals.lastUs),
    ...(jsonBytes(history) <= maxBytes * HISTORY_SHARE ? { history } : {}),
  };
}

function isDefault({ low, medium, high, critical }: SeverityThresholds): boolean {
  const usual = DEFAULT_THRESHOLDS;
  return low === usual.low && medium === usual.medium && high === usual.high && critical === usual.critical;
}

/** Share of the list that one workload may take while others wait; MIN_SHARE violations at least. */
const SHARE = 0.1;
const MIN_SHARE = 30;

/** An accepted violation, listed or not. */
type Marked = AcceptedCounts & Pick<Violation, "id">;

interface List {
  violations: Violation[];
  /** Accepted ones for which the list has no room. */
  unlisted: Marked[];
}

function* listed(
  ledger: Ledger,
  policy: Policy,
  { limits, acceptances, rendered = new RenderedViolations() }: RenderOptions,
  room: number,
): Steps<List> {
  const { namespace, policyName } = ledger;
  // An acceptance of a namespace has no effect on the cluster report.
  const own = namespace === undefined ? undefined : acceptances?.find(namespace, policyName);
  const known = yield* listWritten(ledger.entries);
  const share = Math.max(MIN_SHARE, Math.floor(limits.maxViolations * SHARE));
  if (own) yield* own.refresh(known);
  const isAccepted = (entry: Entry) => own?.acceptedBy(entry) !== undefined;
  // An accepted violation takes no place from an open one.
  const open = own ? known.values().filter((entry) => !isAccepted(entry)) : known;
  const best = yield* selectFairest(open, limits.maxViolations, share);
  const left = limits.maxViolations - best.length;
  if (own && left > 0) best.push(...(yield* selectFairest(known.values().filter(isAccepted), left, share)));
  const render = rendered.begin(ledger);
  const { severity, tags, message } = policy;
  const facts = JSON.stringify([severity, tags, message, limits.maxPodsPerViolation]);
  // The longest run from the first on that fits.
  const fitting: Violation[] = [];
  let used = 0;
  for (const [i, entry] of best.entries()) {
    if (i > 0 && i % STEP === 0) yield;
    const accepted = own?.acceptedBy(entry);
    const { violation, bytes } = render(entry, `${accepted?.by} ${entry.lowerBound} ${facts}`, () =>
      renderViolation(ledger, policy, entry, { maxPods: limits.maxPodsPerViolation, accepted }),
    );
    used += bytes + 1;
    if (used > room) break;
    fitting.push(violation);
  }
  const shown = new Set(best.slice(0, fitting.length));
  const unlisted: Marked[] = [];
  if (own) {
    yield* visitInSteps(known, (entry) => {
      if (isAccepted(entry) && !shown.has(entry)) unlisted.push(toMarked(entry));
    });
  }
  return { violations: fitting.sort(byRecency), unlisted };
}

function toMarked({ id, identity: { outcome }, stored, inFlight }: Entry): Marked {
  return { id, outcome, occurrences: (stored?.occurrences ?? 0) + (inFlight?.occurrences ?? 0) };
}

/** Most recent first; ties by id. */
function byRecency(a: Violation, b: Violation): number {
  return compare(b.lastSeen, a.lastSeen) || compare(a.id, b.id);
}

/** By subtraction, so that list, omitted and expired always add up to the summary. */
function countOmitted(
  summary: Summary,
  violations: readonly Violation[],
  expired: Readonly<Expired>,
): Omitted | undefined {
  const listed = violations.reduce((sum, v) => sum + v.occurrences, 0);
  const occurrences = summary.occurrences - listed - expired.occurrences;
  if (occurrences === 0) return undefined;
  const known = violations.length + expired.violations;
  // Occurrences without details may be of violations that are listed; without any other there is one at least.
  const least = known === 0 ? 1 : 0;
  return { violations: Math.max(least, Math.min(summary.violations - known, occurrences)), occurrences };
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
