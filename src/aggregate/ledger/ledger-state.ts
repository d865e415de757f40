// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State that the parts of one ledger share.

import type { KnownPolicy } from "../counts/known-policy.ts";
import type { Unidentified } from "../counts/unidentified.ts";
import type { SubjectCounts } from "./distinct-subjects.ts";
import type { LedgerCounts } from "./ledger-counts.ts";
import type { OpenGaps } from "./open-gaps.ts";
import type { ReportAge } from "./report-age.ts";
import type { ReportEntries } from "./report-entries.ts";
import type { SetSequence } from "./set-sequence.ts";

export interface LedgerState {
  readonly policy: KnownPolicy;
  readonly gaps: OpenGaps;
  readonly subjects: SubjectCounts;
  readonly counts: LedgerCounts;
  readonly sets: SetSequence;
  readonly entries: ReportEntries;
  readonly unidentified: Unidentified;
  readonly age: ReportAge;
}
