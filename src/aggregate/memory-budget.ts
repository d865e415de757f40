// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Limit of the memory for violations, and the choice of violations to evict at the limit. Invariant: the workload that
// holds the most loses violations first; a workload's only violation in a report is never evicted. An alert has a
// bounded number of violations visited.

import type { CellBounds, CellStore } from "../ingest/cells/cell-store.ts";
import { type Identity, workloadKey } from "../ingest/violation/violation.ts";
import type { EpochUs } from "../lib/time.ts";
import { MemoryUsage } from "./entries/memory-usage.ts";
import type { WorkloadShare } from "./entries/workload-share.ts";
import type { Ledger } from "./ledger/ledger.ts";

export interface MemoryLimits {
  /** Violations over all reports. */
  maxViolations: number;
  /** Estimated bytes that they may take. */
  limitBytes: number;
  maxViolationsPerWorkload: number;
  maxReports: number;
  /** Reports of one namespace, or of the cluster. */
  maxReportsPerNamespace: number;
}

/** Most violations have one pod at a time; past the bound an alert may cost what the first of its kind does. */
const CELLS_PER_VIOLATION = 2;
/** Share of the memory for violations that cells may take. */
const CELLS_SHARE = 0.5;
/** Violations evicted at once, so that a storm does not search for room with every alert. */
const MAX_EVICTED = 256;
/** Evictions for one alert or write; where they do not suffice, the next one continues. */
const MAX_EVICTIONS = 4;

export function getCellBounds({ maxViolations, limitBytes }: MemoryLimits): CellBounds {
  return { maxCells: CELLS_PER_VIOLATION * maxViolations, maxBytes: CELLS_SHARE * limitBytes };
}

export class MemoryBudget {
  readonly meter: MemoryUsage;
  readonly #limits: MemoryLimits;
  evicted = 0;
  /** True when the last search found nothing to evict; another search has no purpose before the next write. */
  #isStuck = false;

  constructor(limits: MemoryLimits, cells?: CellStore) {
    this.#limits = limits;
    this.meter = new MemoryUsage(cells);
  }

  /** Returns true where a new violation in `ledger` may be held; evicts others for it where that is possible. */
  tryReserve(ledger: Ledger, identity: Identity, us: EpochUs): boolean {
    return this.#hasShare(ledger, identity, us) && (this.#isWithin() || this.#makeRoom(us));
  }

  /** Called after a write: entries that were in flight may be evicted again, and may be larger than before. */
  afterWrite(us: EpochUs): void {
    this.#isStuck = false;
    if (!this.#isWithin()) this.#makeRoom(us);
  }

  #hasShare(ledger: Ledger, identity: Identity, us: EpochUs): boolean {
    const { maxViolationsPerWorkload: max } = this.#limits;
    const share = ledger.entries.getShare(workloadKey(identity));
    if (!share || share.entries.length < max) return true;
    if (!share.isStuck) this.#evict(share, us);
    return share.entries.length < max;
  }

  #isWithin(): boolean {
    const { maxViolations, limitBytes } = this.#limits;
    return this.meter.violations < maxViolations && this.meter.bytesInAll < limitBytes;
  }

  #makeRoom(us: EpochUs): boolean {
    if (this.#isStuck) return false;
    for (let i = 0; i < MAX_EVICTIONS && !this.#isWithin(); i++) {
      const { largest } = this.meter;
      this.#isStuck = largest === undefined;
      if (largest) this.#evict(largest, us);
    }
    return this.#isWithin();
  }

  #evict(share: WorkloadShare, us: EpochUs): void {
    const count = Math.min(MAX_EVICTED, Math.ceil(share.entries.length / 2));
    const evicted = share.report.evict(share, count, us);
    this.evicted += evicted;
    // The rest is in a write: until that is over it is no use to look again.
    if (evicted < count) this.meter.setStuck(share);
  }
}
