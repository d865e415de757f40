// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The parts of a ledger that it shares with others.

import type { SetNumbers } from "../counts/set-numbers.ts";
import type { MemoryUsage } from "../entries/memory-usage.ts";
import type { ChangeLog } from "./change-log.ts";

export interface LedgerParts {
  /** Notes every change, for a journal. */
  log?: ChangeLog | undefined;
  /** Counts what is held. */
  meter?: MemoryUsage;
  numbers?: SetNumbers;
  /** Called when a cell begins to count. */
  onCounting?: () => void;
  /** Adds what is being declared in all reports. */
  addDeclared?: () => void;
}
