// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One alert that is to be counted.
// Invariant: valid until the call that was given it returns.

import type { EpochUs } from "../lib/time.ts";
import type { EvidenceSource } from "./evidence/evidence.ts";
import type { ViolationFacts } from "./violation/violation.ts";

/** One alert of a violation. Valid until the call that was given it returns. */
export interface Occurrence {
  readonly violation: ViolationFacts;
  /** The time that counts. */
  readonly timeUs: EpochUs;
  /** The alert as evidence. */
  readonly source: EvidenceSource;
  /** The cell of alerts of this kind, which the aggregator may have counted in it from now on; 0 or undefined: none. */
  readonly cell?: number | undefined;
}
