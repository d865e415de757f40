// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One alert that is to be counted.
// Invariant: valid until the call that was given it returns.

import type { EpochUs } from "../lib/time.ts";
import type { EvidenceSource } from "./evidence.ts";
import type { Violation } from "./violation.ts";

/** One alert that tells of a violation. Valid until the call that was given it returns. */
export interface Occurrence {
  readonly violation: Violation;
  /** The time that counts. */
  readonly timeUs: EpochUs;
  /** The alert as evidence. */
  readonly source: EvidenceSource;
  /** A slot for the aggregator alone: the entry that counted the previous alert of this kind. */
  countedIn?: object | undefined;
}
