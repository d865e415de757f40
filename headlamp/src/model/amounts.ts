// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers as they are shown. Invariant: pure; a lower bound always has its sign.

import { formatNumber } from "../../../plugin/src/reports/words.ts";
import type { Outcome, Report } from "../../../src/api/v1alpha1.ts";

/** `12`, `≥ 12` for a lower bound, `unknown` for no number. */
export function formatAmount(n: number | undefined, isAtLeast: boolean): string {
  if (n === undefined) return "unknown";
  return isAtLeast ? `≥ ${formatNumber(n)}` : formatNumber(n);
}

/** Occurrences and violations that are not accepted, as `kubectl get pvr` shows them. */
export interface OpenCounts extends Record<Outcome, number> {
  violations: number;
}

/** Reads the open counts of a report; reports of earlier versions accept nothing. */
export function getOpenCounts({ summary }: Report): OpenCounts {
  const { allowed, unknown, prevented, violations } = summary.open ?? summary;
  return { Allowed: allowed, Unknown: unknown, Prevented: prevented, violations };
}

/** Totals over reports. */
export interface ReportTotals extends OpenCounts {
  /** True when there may be more than these. */
  isAtLeast: boolean;
}

/** Adds up the open counts; `isPartial` says that reports may be missing. */
export function sumOpenCounts(reports: readonly Report[], isPartial: boolean): ReportTotals {
  const sum: ReportTotals = { Allowed: 0, Unknown: 0, Prevented: 0, violations: 0, isAtLeast: isPartial };
  for (const report of reports) {
    const counts = getOpenCounts(report);
    sum.Allowed += counts.Allowed;
    sum.Unknown += counts.Unknown;
    sum.Prevented += counts.Prevented;
    sum.violations += counts.violations;
    sum.isAtLeast ||= report.coverage.lowerBound;
  }
  return sum;
}
