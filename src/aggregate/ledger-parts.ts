// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The parts of a ledger that it shares with others.

import type { ChangeLog } from "./change-log.ts";
import type { MemoryUsage } from "./memory-usage.ts";
import type { SetNumbers } from "./set-numbers.ts";

export interface LedgerParts {
  /** Notes every change, for a journal. */
  log?: ChangeLog | undefined;
  /** Counts what is held. */
  meter?: MemoryUsage;
  /** Numbers the sets of counts. */
  numbers?: SetNumbers;
  /** Called when a cell begins to count. */
  onCounting?: () => void;
}
