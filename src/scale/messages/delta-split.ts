// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Splits counts into messages of a bounded size.
// Invariant: the sum of the parts is the whole; each part is a set of counts that agrees with itself.

import { countOutcome, emptyTotals, subtractOutcomes, type Totals } from "../../aggregate/counts/totals.ts";
import { parseIdentityKey } from "../../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { PodDelta, ReportDelta, ViolationDelta } from "./delta.ts";

/** Packs reports into groups of at most `maxBytes` of JSON, as far as one pod of one violation fits. */
export function* packReports(reports: readonly ReportDelta[], maxBytes: number): Steps<ReportDelta[][]> {
  const parts: Sized<ReportDelta>[] = [];
  let left = VIOLATIONS_PER_STEP;
  for (const report of reports) {
    left -= 1 + report.violations.length;
    if (left < 0) {
      yield;
      left = VIOLATIONS_PER_STEP;
    }
    parts.push(...(yield* splitReport(report, maxBytes)));
  }
  return groupBySize(parts, maxBytes).map(({ items }) => items);
}

interface Sized<T> {
  item: T;
  /** Of its JSON. */
  bytes: number;
}

/** Each is turned into JSON to know its size. */
const VIOLATIONS_PER_STEP = 64;

/** Splits one report; the first part has all that belongs to no violation. */
export function* splitReport(report: ReportDelta, maxBytes: number): Steps<Sized<ReportDelta>[]> {
  const head = getSize({ ...report, violations: [] });
  const parts: Sized<ViolationDelta>[] = [];
  yield* visitInSteps(
    report.violations,
    (violation) => parts.push(...splitViolation(violation, maxBytes)),
    VIOLATIONS_PER_STEP,
  );
  const [first, ...others] = groupBySize(parts, maxBytes, maxBytes - head);
  const later: Sized<ReportDelta>[] = [];
  for (const { items: violations, bytes } of others) {
    yield;
    later.push({ item: { ...report, violations, totals: sumUp(violations) }, bytes: head + bytes });
  }
  const totals = later.reduce((rest, { item }) => subtractOutcomes(rest, item.totals), report.totals);
  return [{ item: { ...report, violations: first.items, totals }, bytes: head + first.bytes }, ...later];
}

/** Splits one violation by its pods; the first part has the evidence, and all that belongs to no pod. */
function splitViolation(violation: ViolationDelta, maxBytes: number): Sized<ViolationDelta>[] {
  const whole = toSized(violation);
  if (whole.bytes <= maxBytes) return [whole];
  const room = maxBytes - getSize({ ...violation, evidence: undefined, pods: [] });
  const roomOfFirst = maxBytes - getSize({ ...violation, pods: [] });
  const [first, ...others] = groupBySize(violation.pods.map(toSized), room, roomOfFirst);
  const later = others.map(({ items: pods }) => ({
    ...{ ...violation, evidence: undefined, pods },
    occurrences: countPods(pods),
  }));
  const occurrences = later.reduce((rest, part) => rest - part.occurrences, violation.occurrences);
  return [{ ...violation, occurrences, pods: first.items }, ...later].map(toSized);
}

interface Group<T> {
  items: T[];
  bytes: number;
}

/** Divides items into groups of at most `maxBytes` of JSON, or of one item that is larger; at least one group. */
function groupBySize<T>(
  sized: readonly Sized<T>[],
  maxBytes: number,
  maxBytesOfFirst = maxBytes,
): [Group<T>, ...Group<T>[]] {
  let group: Group<T> = { items: [], bytes: 0 };
  const groups: [Group<T>, ...Group<T>[]] = [group];
  for (const { item, bytes } of sized) {
    const max = groups.length === 1 ? maxBytesOfFirst : maxBytes;
    if (group.bytes + bytes > max && group.items.length > 0) {
      group = { items: [], bytes: 0 };
      groups.push(group);
    }
    group.items.push(item);
    group.bytes += bytes;
  }
  return groups;
}

function toSized<T>(item: T): Sized<T> {
  return { item, bytes: getSize(item) };
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
