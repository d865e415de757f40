// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The metrics of the journal: a part of metric-list.ts.

import type { MetricDefinition } from "./metric-definition.ts";

const MS_PER_SECOND = 1000;

/** All 0 where no journal is configured. */
export const journalMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_journal_up",
    help: "1 while counts that no report holds yet are kept in the journal, else 0.",
    read: (source) => Number(source.journal().isKept),
  },
  {
    name: "policy_violation_journal_bytes",
    help: "Size of the journal on its volume.",
    read: (source) => source.journal().bytes,
  },
  {
    name: "policy_violation_journal_batches_total",
    help: "Batches written to the journal.",
    read: (source) => source.journal().batches,
  },
  {
    name: "policy_violation_journal_rows_total",
    help: "Rows in these batches.",
    read: (source) => source.journal().rows,
  },
  {
    name: "policy_violation_journal_failures_total",
    help: "Batches, and attempts to open the journal, that failed.",
    read: (source) => source.journal().failures,
  },
  {
    name: "policy_violation_journal_waiting_violations",
    help: "Changed violations that wait for the next batch of the journal.",
    read: (source) => source.journal().waiting,
  },
  {
    name: "policy_violation_journal_lag_seconds",
    help: "Time since the journal took a batch; one is due every second even when nothing changes.",
    read: (source) => source.journal().ageMs / MS_PER_SECOND,
  },
  {
    name: "policy_violation_journal_recovered_occurrences_total",
    help: "Occurrences of an earlier process that no report held, recovered from the journal.",
    read: (source) => source.journal().recovered,
  },
];
