// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers of entries that the aggregator holds, counted without details or removed.

import type { LedgerMap } from "./ledger/ledger-map.ts";
import type { MemoryBudget } from "./memory-budget.ts";

export class AggregateStats {
  /** Alerts counted in totals only, because there was no memory for their violations. */
  withoutDetails = 0;
  /** Violations that left their reports because they were not seen for the retention time. */
  expired = 0;
  readonly #ledgers: LedgerMap;
  readonly #memory: MemoryBudget;

  constructor(ledgers: LedgerMap, memory: MemoryBudget) {
    this.#ledgers = ledgers;
    this.#memory = memory;
  }

  get violations(): number {
    return this.#memory.meter.violations;
  }

  /** An estimate of the heap that the violations take. */
  get bytes(): number {
    return this.#memory.meter.bytesInAll;
  }

  get evicted(): number {
    return this.#memory.evicted;
  }

  /** Occurrences in flight and pending. */
  get unwritten(): number {
    let sum = 0;
    for (const { counts } of this.#ledgers.values()) sum += counts.unwritten;
    return sum;
  }
}
