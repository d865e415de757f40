// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads a stored report back as the base of a ledger: so counts continue after a restart or a conflict.
// Invariant: reading back a rendered report loses no count. The schema guarantees the required fields; an invalid
// number or time is taken as absent.

import { type CoverageGap, mergeCoverageGaps, parseCoverageGap } from "../aggregate/counts/coverage-gap.ts";
import { Pods } from "../aggregate/counts/pods.ts";
import { addPod, type Tally } from "../aggregate/counts/tally.ts";
import { countOutcome, emptyTotals, type Totals } from "../aggregate/counts/totals.ts";
import type { Base } from "../aggregate/entries/counted.ts";
import { Entry } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Coverage, Policy, Report, Violation, ViolationPod } from "../api/v1alpha1.ts";
import { storedEvidence } from "../ingest/evidence/evidence.ts";
import { reportName } from "../ingest/violation/report-name.ts";
import { getRule } from "../ingest/violation/rule.ts";
import { type Identity, identityKey, podKey, unresolvedContainer } from "../ingest/violation/violation.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";
import { reportedKind } from "./provenance.ts";
import { parseHistory, toCount } from "./render-history.ts";

/** True where the report has the name that its policy gives it; others are not continued. */
export function isNamedRight(report: Report): boolean {
  return report.metadata.name === reportName(report.policy.name);
}

/**
 * Makes a stored report the base of its ledger, or starts the ledger from zero; `deletedUs`: it was deleted. Steps as those
 * of LedgerTransfer.rebase.
 */
export function* rebaseOn(ledger: Ledger, report: Report | undefined, deletedUs?: EpochUs): Steps {
  if (!report) {
    yield* ledger.transfer.rebase(undefined, deletedUs);
    return;
  }
  const entries = (report.violations ?? []).map((each) => parseEntry(ledger.namespace, report.policy, each));
  const totals = parseTotals(report, entries);
  const { policy } = report;
  ledger.policy.learn(
    {
      kind: reportedKind(policy.kind),
      severity: policy.severity ?? 0,
      tags: policy.tags ?? [],
      message: policy.message ?? "",
    },
    totals.lastUs,
  );
  yield* ledger.transfer.rebase({ ...parseDistinct(report), totals, entries });
  // The severities of violations that are not listed are not known one by one.
  if (report.omitted) ledger.policy.raiseSeverity(policy.severity ?? 0, totals.lastUs);
  ledger.policy.renderedSeverity = policy.severity ?? 0;
}

function parseDistinct({ metadata, summary }: Report): Omit<Base, "totals" | "entries"> {
  return {
    createdUs: time(metadata.creationTimestamp),
    violations: toCount(summary?.violations),
    workloads: toCount(summary?.workloads),
    pods: toCount(summary?.pods),
    nodes: toCount(summary?.nodes),
  };
}

/** The summary, but at least the sum of the listed violations: the report may have been edited. */
function parseTotals({ summary, coverage, expired }: Report, entries: readonly Entry[]): Totals {
  const listed = emptyTotals();
  for (const { outcome, committed } of entries) {
    if (committed) countOutcome(listed, outcome, committed.occurrences, committed.firstUs, committed.lastUs);
  }
  const prevented = Math.max(listed.prevented, toCount(summary?.prevented));
  const allowed = Math.max(listed.allowed, toCount(summary?.allowed));
  const unknown = Math.max(listed.unknown, toCount(summary?.unknown));
  const lastUs = Math.max(listed.lastUs, time(summary?.lastSeen) ?? 0);
  return {
    occurrences: Math.max(prevented + allowed + unknown, toCount(summary?.occurrences)),
    prevented,
    allowed,
    unknown,
    firstUs: Math.min(listed.firstUs, time(summary?.firstSeen) ?? lastUs),
    lastUs,
    history: parseHistory(summary),
    gaps: toCount(coverage?.gaps),
    throttleNotices: toCount(coverage?.throttleNotices),
    rejected: toCount(coverage?.rejected),
    withoutDetails: toCount(coverage?.withoutDetails),
    expired: { violations: toCount(expired?.violations), occurrences: toCount(expired?.occurrences) },
    coverageGaps: parseGaps(coverage),
  };
}

function parseGaps(coverage: Coverage | undefined): readonly CoverageGap[] {
  const read = (coverage?.recent ?? []).map(parseCoverageGap).filter((each) => each !== undefined);
  return mergeCoverageGaps([], read);
}

export function parseIdentity(violation: Violation): Identity {
  return {
    operation: violation.operation,
    verb: violation.verb ?? "",
    action: violation.action ?? "",
    outcome: violation.outcome,
    workload: { kind: violation.workload.kind, name: violation.workload.name },
    container: violation.container ?? "",
    source: violation.source ?? "",
    resource: violation.resource ?? "",
    namespace: violation.namespace ?? "",
  };
}

function parseEntry(namespace: string | undefined, policy: Policy, violation: Violation): Entry {
  const identity = { ...parseIdentity(violation), ...readUnresolved(namespace, violation) };
  const entry = new Entry(identityKey(identity), identity, violation.lowerBound ?? false);
  entry.committed = toTally(namespace, policy, violation);
  return entry;
}

/** A violation of one pod in a container without a name belongs to the container in its evidence. */
function readUnresolved(
  namespace: string | undefined,
  { container, latest, pods, occurrences }: Violation,
): Pick<Identity, "unresolved"> {
  const [pod] = pods ?? [];
  const id = latest?.containerId;
  const isOnly = pod !== undefined && pod.occurrences === occurrences;
  if (namespace === undefined || container !== undefined || !isOnly || id === undefined) return {};
  return { unresolved: unresolvedContainer(pod.name, id) };
}

function toTally(namespace: string | undefined, policy: Policy, violation: Violation): Tally {
  const lastUs = time(violation.lastSeen) ?? time(violation.firstSeen) ?? 0;
  const tally: Tally = {
    occurrences: toCount(violation.occurrences),
    firstUs: time(violation.firstSeen) ?? lastUs,
    lastUs,
    pods: new Pods(),
    latest: violation.latest && storedEvidence(violation.latest),
    rule: getRule({
      severity: violation.severity ?? policy.severity ?? 0,
      tags: violation.tags ?? policy.tags ?? [],
      message: violation.message ?? policy.message ?? "",
    }),
    journaledSecond: 0,
  };
  for (const pod of violation.pods ?? []) restorePod(tally, namespace, pod);
  return tally;
}

function restorePod(tally: Tally, namespace: string | undefined, pod: ViolationPod): void {
  const node = pod.node ?? "";
  addPod(tally, podKey(namespace, pod.name, node), pod.name, node, toCount(pod.occurrences), time(pod.lastSeen) ?? 0);
}

function time(text: string | undefined): EpochUs | undefined {
  return text === undefined ? undefined : parseMicroTime(text);
}
