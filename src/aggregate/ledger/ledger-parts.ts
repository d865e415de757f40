// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The parts of a ledger that it shares with others.

import type { SetNumbers } from "../counts/set-numbers.ts";
import type { MemoryUsage } from "../entries/memory-usage.ts";
import type { ChangeLog } from "./change-log.ts";
import type { DeclaredGaps } from "./open-gaps.ts";

export interface LedgerParts extends DeclaredGaps {
  /** Notes every change, for a journal. */
  log?: ChangeLog | undefined;
  /** Counts what is held. */
  meter?: MemoryUsage;
  numbers?: SetNumbers;
  /** Called when a cell begins to count. */
  onCounting?: () => void;
}
