// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Totals of each report, for the metrics.
// Invariant: reads only; the numbers are those of the reports' summaries and continue those of a previous leader.

import type { Aggregator } from "../aggregate/aggregator.ts";
import { type SeverityThresholds, toSeverityLevel } from "../api/severity.ts";
import type { ReportCounts } from "../telemetry/metrics-source.ts";

/** Gives the counts of each report that was rendered or read, the oldest in memory first. */
export function* reportCounts(aggregator: Aggregator, severity: SeverityThresholds): Iterable<ReportCounts> {
  for (const { namespace, policyName, counts, policy } of aggregator.ledgers.values()) {
    const { occurrences, prevented, allowed, unknown, lastUs } = counts.written;
    if (occurrences === 0 || policy.renderedSeverity === undefined) continue;
    yield {
      namespace,
      policy: policyName,
      severity: toSeverityLevel(policy.renderedSeverity || undefined, severity),
      outcomes: { Prevented: prevented, Allowed: allowed, Unknown: unknown },
      lastSeenMs: lastUs / 1000,
    };
  }
}
