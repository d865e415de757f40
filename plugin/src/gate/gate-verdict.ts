// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The result of a gate, for every output format.

import type { Report } from "../../../src/api/v1alpha1.ts";
import type { ViolationRef } from "../reports/report-view.ts";

/** What a gate found. */
export interface Verdict {
  /** Everything that was looked at. */
  reports: readonly Report[];
  /** What shuts the gate, worst first. */
  shut: ViolationRef[];
  /** What would have, but for an acceptance. */
  accepted: ViolationRef[];
  /** What would have, but for the directory. */
  known: ViolationRef[];
}
