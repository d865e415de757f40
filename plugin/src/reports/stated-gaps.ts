// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps of the alert stream that the operator states once, on its Lease. A report from before such a gap gets it with its
// next write, and is shown here as if it had been written. Invariant: pure; a report never loses a gap.

import { findWrittenUs, parseStreamGaps, type StreamGapEntry } from "../../../src/aggregate/gaps/stream-gap-text.ts";
import { STREAM_GAPS_ANNOTATION } from "../../../src/api/names.ts";
import type { CoverageGapEntry, Report } from "../../../src/api/v1alpha1.ts";
import { toObject, toText } from "../../../src/lib/json.ts";
import type { LeaseObject } from "./heartbeat.ts";
import { toMs } from "./when.ts";

/** Gaps that a report lists, as the operator does. */
const MAX_LISTED = 10;

/** Returns the gaps that the Lease states; none where there is no such Lease. */
export function readStatedGaps(lease: LeaseObject | undefined): StreamGapEntry[] {
  return parseStreamGaps(toText(toObject(lease?.metadata?.annotations)[STREAM_GAPS_ANNOTATION]));
}

/** Adds to a report the gaps that it lacks. */
export function addStatedGaps(report: Report, gaps: readonly StreamGapEntry[]): Report {
  const lacking = gaps.filter((gap) => lacksGap(report, gap));
  return lacking.reduce(addGap, report);
}

/** True where the report was not written since the gap. */
function lacksGap({ coverage }: Report, gap: StreamGapEntry): boolean {
  const { recent = [] } = coverage;
  if (findWrittenUs(coverage) / 1000 >= toMs(gap.to)) return false;
  const isFull = recent.length >= MAX_LISTED && recent.every(({ from }) => toMs(from) > toMs(gap.from));
  const known = recent.find((each) => isSame(each, gap));
  // At the bound of the list a gap continues to the end of the next one.
  return !isFull && (known?.to === undefined || toMs(known.to) < toMs(gap.to));
}

function addGap(report: Report, gap: StreamGapEntry): Report {
  const { continuousSince: _, recent = [], gaps, ...others } = report.coverage;
  const rest = recent.filter((known) => !isSame(known, gap));
  const isNew = rest.length === recent.length;
  const listed = [gap, ...rest].sort((a, b) => toMs(b.from) - toMs(a.from)).slice(0, MAX_LISTED);
  const coverage = { ...others, gaps: gaps + (isNew ? 1 : 0), lowerBound: true, recent: listed };
  return { ...report, coverage };
}

function isSame(a: CoverageGapEntry, b: CoverageGapEntry): boolean {
  return a.kind === b.kind && a.from === b.from;
}
