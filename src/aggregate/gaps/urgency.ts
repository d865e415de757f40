// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Urgency of a change of a report.

import type { GapKind } from "../counts/coverage-gap.ts";

/** The most urgent first; `stream`: it concerns every report alike. */
export type Urgency = "new_report" | "new_violation" | "counters" | "coverage" | "stream";

/** Gaps of the stream: they concern every report, and reports in which nothing happens may be written late. */
const STREAM_GAPS: ReadonlySet<GapKind> = new Set(["StreamDown", "StreamEnded", "Stalled"]);

export function getGapUrgency(kind: GapKind): Urgency {
  return STREAM_GAPS.has(kind) ? "stream" : "coverage";
}
