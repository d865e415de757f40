// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Outcomes of alerts in a reader, over all shards that it holds or held.

import { REJECTIONS, type Rejection } from "../../ingest/ingest-counters.ts";

/** Outcomes of alerts: `received` is the sum of the others. */
export interface ReaderCounters {
  received: number;
  counted: number;
  duplicates: number;
  throttleNotices: number;
  shortened: number;
  rejected: Record<Rejection, number>;
}

/** Adds the outcomes of a shard to those of its reader. */
export function addCounters(sum: ReaderCounters, counters: ReaderCounters): void {
  sum.received += counters.received;
  sum.counted += counters.counted;
  sum.duplicates += counters.duplicates;
  sum.throttleNotices += counters.throttleNotices;
  sum.shortened += counters.shortened;
  for (const reason of REJECTIONS) sum.rejected[reason] += counters.rejected[reason];
}
