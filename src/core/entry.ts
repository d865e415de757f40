// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation within a report's books, and what brings violations into them from elsewhere.

import type { Tally } from "./tally.ts";
import type { Totals } from "./totals.ts";
import type { Identity } from "./violation.ts";

/** One violation of the report. */
export interface Entry {
  readonly key: string;
  readonly id: string;
  readonly identity: Identity;
  committed: Tally | undefined;
  inFlight: Tally | undefined;
  pending: Tally | undefined;
  /** True when occurrences from before may be among those that are counted without a violation. */
  lowerBound: boolean;
}

/** What a stored report brings into a ledger. */
export interface Base {
  totals: Totals;
  entries: readonly Entry[];
  violations: number;
  workloads: number;
  pods: number;
  nodes: number;
}
