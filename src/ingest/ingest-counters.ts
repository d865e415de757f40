// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counters of received alerts, by outcome. Always received = counted + duplicates + throttle notices + Σ rejected.
// Invariant: each alert raises `received` and exactly one of the others.

import type { SourceRejection } from "../api/alert-stream.ts";
import type { DecodeRejection } from "./violation/violation.ts";

/** Its report would exceed memory.maxReports or memory.maxReportsPerNamespace. */
export type ReportRejection = "too_many_reports" | "too_many_reports_in_namespace";
export type Rejection = SourceRejection | DecodeRejection | ReportRejection;

/** Every reason, so that each metric starts at 0. */
const NONE: Readonly<Record<Rejection, number>> = {
  no_policy: 0,
  invalid_wire: 0,
  message_too_large: 0,
  invalid_json: 0,
  not_an_alert: 0,
  line_too_long: 0,
  too_many_reports: 0,
  too_many_reports_in_namespace: 0,
};

export const REJECTIONS = Object.keys(NONE) as readonly Rejection[];

export class IngestCounters {
  /** Owners of pods and names of containers held now; a gauge. */
  names = 0;
  /** Names evicted at the bound. */
  namesEvicted = 0;
  /** Violations that were merged once the owner of a pod or the name of a container was known. */
  joined = 0;
  received = 0;
  counted = 0;
  duplicates = 0;
  throttleNotices = 0;
  /** Texts masked from their second word on, because the budget ended the search. */
  shortened = 0;
  readonly rejected: Record<Rejection, number> = { ...NONE };

  get rejectedTotal(): number {
    return Object.values(this.rejected).reduce((sum, n) => sum + n, 0);
  }

  /** True while received equals the sum of the other counters. */
  get isReconciled(): boolean {
    return this.received === this.counted + this.duplicates + this.throttleNotices + this.rejectedTotal;
  }
}
