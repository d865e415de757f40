// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Times that stored reports hold of the operator that wrote them.

import type { EarlyGap } from "../aggregate/early-gaps.ts";
import { type Gap, toUs } from "../aggregate/stream-coverage.ts";
import type { Report } from "../api/v1alpha1.ts";
import { parseMicroTime } from "../lib/time.ts";

/** The same gap in microseconds. */
export function toGapUs({ kind, fromMs, toMs }: Gap): EarlyGap {
  return { kind, fromUs: toUs(fromMs), toUs: toMs === undefined ? undefined : toUs(toMs) };
}

/** Since when all of these have been kept without a gap. */
export function getNewestStart(reports: readonly Report[]): number | undefined {
  const starts = reports.map(({ coverage }) => parseMicroTime(coverage.continuousSince ?? ""));
  const known = starts.filter((us) => us !== undefined);
  return known.length === 0 || known.length < starts.length ? undefined : Math.max(...known) / 1000;
}

/** The newest sign of life of the operator that wrote these. */
export function getLastSeenMs(reports: readonly Report[]): number {
  return reports.reduce((ms, { summary }) => Math.max(ms, (parseMicroTime(summary.lastSeen) ?? 0) / 1000), 0);
}
