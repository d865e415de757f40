// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One alert to be counted.

import type { EpochUs } from "../lib/time.ts";
import type { EvidenceSource } from "./evidence/evidence.ts";
import type { ViolationFacts } from "./violation/violation.ts";

/** One alert of a violation; valid until the call that receives it returns. */
export interface Occurrence {
  readonly violation: ViolationFacts;
  /** The time that counts. */
  readonly timeUs: EpochUs;
  readonly source: EvidenceSource;
  /** Cell in which the aggregator may count alerts of this kind from now on; 0 or undefined without one. */
  readonly cell?: number | undefined;
}
