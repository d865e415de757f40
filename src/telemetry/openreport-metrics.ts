// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics of the OpenReports copies: a part of metric-list.ts.

import type { MetricDefinition } from "./metric-definition.ts";

/** All 0 on a standby and where copies are switched off. */
export const openReportMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_openreports_served",
    help: "1 while the cluster serves OpenReports and this replica copies reports to them, else 0.",
    read: (source) => Number(source.openReports().isServed),
  },
  {
    name: "policy_violation_openreports_writes_total",
    help: "Attempts to bring the OpenReports copy of a report up to date, by result.",
    labels: ["result"],
    read: (source) => source.openReports().results,
  },
  {
    name: "policy_violation_openreports_pending",
    help: "OpenReports copies that are out of date, most of them for openReports.minIntervalMs at most.",
    read: (source) => source.openReports().pending,
  },
  {
    name: "policy_violation_openreports_left_out",
    help: "Reports without an OpenReports copy, beyond memory.maxReports of a kind; at most as many are counted.",
    read: (source) => source.openReports().leftOut,
  },
];
