// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Splits counts into messages of a bounded size.
// Invariant: the sum of the parts is the whole; each part is a set of counts that agrees with itself.

import { countOutcome, emptyTotals, subtractOutcomes, type Totals } from "../../aggregate/counts/totals.ts";
import { parseIdentityKey } from "../../ingest/violation/violation.ts";
import type { PodDelta, ReportDelta, ViolationDelta } from "./delta.ts";

/** Packs reports into groups of at most `maxBytes` of JSON, as far as one pod of one violation fits. */
export function packReports(reports: readonly ReportDelta[], maxBytes: number): ReportDelta[][] {
  const parts = reports.flatMap((each) => splitReport(each, maxBytes));
  return groupBySize(parts, maxBytes);
}

/** Splits one report; the first part has all that belongs to no violation. */
export function splitReport(report: ReportDelta, maxBytes: number): ReportDelta[] {
  if (getSize(report) <= maxBytes) return [report];
  const parts = report.violations.flatMap((each) => splitViolation(each, maxBytes));
  const [first, ...others] = groupBySize(parts, maxBytes, maxBytes - getSize({ ...report, violations: [] }));
  const later = others.map((violations) => ({ ...report, violations, totals: sumUp(violations) }));
  const totals = later.reduce((rest, part) => subtractOutcomes(rest, part.totals), report.totals);
  return [{ ...report, violations: first, totals }, ...later];
}

/** Splits one violation by its pods; the first part has the evidence, and all that belongs to no pod. */
function splitViolation(violation: ViolationDelta, maxBytes: number): ViolationDelta[] {
  if (getSize(violation) <= maxBytes) return [violation];
  const room = maxBytes - getSize({ ...violation, evidence: undefined, pods: [] });
  const [first, ...others] = groupBySize(violation.pods, room, maxBytes - getSize({ ...violation, pods: [] }));
  const later = others.map((pods) => ({ ...violation, evidence: undefined, pods, occurrences: countPods(pods) }));
  const occurrences = later.reduce((rest, part) => rest - part.occurrences, violation.occurrences);
  return [{ ...violation, occurrences, pods: first }, ...later];
}

/** Divides items into groups of at most `maxBytes` of JSON, or of one item that is larger; at least one group. */
function groupBySize<T>(items: readonly T[], maxBytes: number, maxBytesOfFirst = maxBytes): [T[], ...T[][]] {
  let group: T[] = [];
  const groups: [T[], ...T[][]] = [group];
  let room = maxBytesOfFirst;
  for (const item of items) {
    const bytes = getSize(item);
    if (bytes > room && group.length > 0) {
      group = [];
      groups.push(group);
      room = maxBytes;
    }
    group.push(item);
    room -= bytes;
  }
  return groups;
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
