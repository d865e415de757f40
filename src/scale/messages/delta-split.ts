// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Splits counts into messages of a bounded size.
// Invariant: the sum of the parts is the whole; each part is a set of counts that agrees with itself.

import { countOutcome, emptyTotals, type Totals } from "../../aggregate/counts/totals.ts";
import { parseIdentityKey } from "../../ingest/violation/violation.ts";
import type { PodDelta, ReportDelta, ViolationDelta } from "./delta.ts";

/** Packs reports into groups of at most `maxBytes` of JSON, as far as one pod of one violation fits. */
export function packReports(reports: readonly ReportDelta[], maxBytes: number): ReportDelta[][] {
  const groups: ReportDelta[][] = [];
  let group: ReportDelta[] = [];
  let room = maxBytes;
  for (const report of reports.flatMap((each) => splitReport(each, maxBytes))) {
    const bytes = getSize(report);
    if (bytes > room && group.length > 0) {
      groups.push(group);
      group = [];
      room = maxBytes;
    }
    group.push(report);
    room -= bytes;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** Splits one report; the first part has all that belongs to no violation. */
export function splitReport(report: ReportDelta, maxBytes: number): ReportDelta[] {
  if (getSize(report) <= maxBytes) return [report];
  const groups: ViolationDelta[][] = [[]];
  let room = maxBytes - getSize({ ...report, violations: [] });
  for (const violation of report.violations.flatMap((each) => splitViolation(each, maxBytes))) {
    const bytes = getSize(violation);
    if (bytes > room && groups.at(-1)?.length !== 0) {
      groups.push([]);
      room = maxBytes;
    }
    groups.at(-1)?.push(violation);
    room -= bytes;
  }
  const later = groups.slice(1).map((violations) => ({ ...report, violations, totals: sumUp(violations) }));
  const totals = later.reduce((rest, part) => subtract(rest, part.totals), report.totals);
  return [{ ...report, violations: groups[0] ?? [], totals }, ...later];
}

/** Splits one violation by its pods; the first part has the evidence, and all that belongs to no pod. */
function splitViolation(violation: ViolationDelta, maxBytes: number): ViolationDelta[] {
  if (getSize(violation) <= maxBytes) return [violation];
  const groups: PodDelta[][] = [[]];
  let room = maxBytes - getSize({ ...violation, pods: [] });
  for (const pod of violation.pods) {
    const bytes = getSize(pod);
    if (bytes > room && groups.at(-1)?.length !== 0) {
      groups.push([]);
      room = maxBytes - getSize({ ...violation, evidence: undefined, pods: [] });
    }
    groups.at(-1)?.push(pod);
    room -= bytes;
  }
  const later = groups
    .slice(1)
    .map((pods) => ({ ...violation, evidence: undefined, pods, occurrences: countPods(pods) }));
  const occurrences = later.reduce((rest, part) => rest - part.occurrences, violation.occurrences);
  return [{ ...violation, occurrences, pods: groups[0] ?? [] }, ...later];
}

function countPods(pods: readonly PodDelta[]): number {
  return pods.reduce((sum, { occurrences }) => sum + occurrences, 0);
}

function getSize(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** Counts of violations; the history of the whole stays in the first part. */
function sumUp(violations: readonly ViolationDelta[]): Totals {
  const totals = emptyTotals();
  for (const { key, occurrences, firstUs, lastUs } of violations) {
    countOutcome(totals, parseIdentityKey(key).outcome, occurrences, firstUs, lastUs);
  }
  return totals;
}

function subtract(all: Totals, part: Totals): Totals {
  return {
    ...all,
    occurrences: all.occurrences - part.occurrences,
    prevented: all.prevented - part.prevented,
    allowed: all.allowed - part.allowed,
    unknown: all.unknown - part.unknown,
  };
}
