// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Totals of each report, for the metrics.
// Invariant: reads only; the numbers are those of the reports' summaries and continue those of a previous leader.

import type { Aggregator } from "../aggregate/aggregator.ts";
import { findHighestSeverity } from "../aggregate/entries/counted.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { type SeverityThresholds, toSeverityLevel } from "../api/severity.ts";
import { runAtOnce } from "../lib/pacing/steps.ts";
import type { ReportCounts } from "../telemetry/metrics-source.ts";

/** Gives the counts of each report that has any, the oldest in memory first. */
export function* reportCounts(aggregator: Aggregator, severity: SeverityThresholds): Iterable<ReportCounts> {
  for (const ledger of aggregator.ledgers.values()) {
    const { occurrences, prevented, allowed, unknown, lastUs } = ledger.counts.written;
    if (occurrences === 0) continue;
    yield {
      namespace: ledger.namespace,
      policy: ledger.policyName,
      severity: toSeverityLevel(toSeverity(ledger) || undefined, severity),
      outcomes: { Prevented: prevented, Allowed: allowed, Unknown: unknown },
      lastSeenMs: lastUs / 1000,
    };
  }
}

/** As in the report that was rendered last; of one that an earlier process wrote, as in that. */
function toSeverity({ entries, policy }: Ledger): number {
  return policy.renderedSeverity ?? runAtOnce(findHighestSeverity(entries.values(), policy.severityFloor));
}
