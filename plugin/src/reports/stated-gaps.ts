// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps of the alert stream that the operator states once, on its Lease. A report from before such a gap gets it with its
// next write, and is shown here as if it had been written. Invariant: pure; a report never loses a gap.

import {
  isSameGap,
  mergeCoverageGaps,
  parseCoverageGap,
  renderCoverageGap,
} from "../../../src/aggregate/counts/coverage-gap.ts";
import { hasGap, parseStated, type StatedGap } from "../../../src/aggregate/gaps/stated-gaps.ts";
import { findWrittenUs, parseStreamGaps } from "../../../src/aggregate/gaps/stream-gap-text.ts";
import { STREAM_GAPS_ANNOTATION } from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { toObject, toText } from "../../../src/lib/json.ts";
import type { LeaseObject } from "./heartbeat.ts";

/** Returns the gaps that the Lease states; none where there is no such Lease. */
export function readStatedGaps(lease: LeaseObject | undefined): StatedGap[] {
  return parseStated(parseStreamGaps(toText(toObject(lease?.metadata?.annotations)[STREAM_GAPS_ANNOTATION])));
}

/** Adds to a report the gaps, and the ends of gaps, that it lacks. */
export function addStatedGaps(report: Report, gaps: readonly StatedGap[]): Report {
  const { continuousSince: _, recent = [], ...coverage } = report.coverage;
  const known = recent.flatMap((entry) => parseCoverageGap(entry) ?? []);
  const lacking = gaps.filter((gap) => findWrittenUs(report.coverage) < gap.toUs && !hasGap(known, gap));
  const ended = gaps.filter((gap) => known.some((other) => isSameGap(other, gap) && other.toUs === undefined));
  if (lacking.length + ended.length === 0) return report;
  const all = mergeCoverageGaps(known, [...lacking, ...ended]).map(renderCoverageGap);
  return { ...report, coverage: { ...coverage, gaps: coverage.gaps + lacking.length, lowerBound: true, recent: all } };
}
