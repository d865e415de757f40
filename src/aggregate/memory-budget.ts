// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Limit of the memory for violations, and the choice of violations to evict at the limit. Invariant: the workload that
// holds the most loses violations first; a workload's only violation in a report is never evicted.

import type { CellBounds, CellStore } from "../ingest/cell-store.ts";
import { type Identity, workloadKey } from "../ingest/violation.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Ledger } from "./ledger.ts";
import { MemoryUsage } from "./memory-usage.ts";

export interface MemoryLimits {
  /** Violations over all reports. */
  maxViolations: number;
  /** Estimated bytes that they may take. */
  limitBytes: number;
  /** Violations of one workload in one report. */
  maxViolationsPerWorkload: number;
  /** Reports. */
  maxReports: number;
}

/** Most violations have one pod at a time; past the bound an alert may cost what the first of its kind does. */
const CELLS_PER_VIOLATION = 2;
/** Of the memory for violations, what cells may take. */
const CELLS_SHARE = 0.5;
/** Share of the limit that is freed at once, so that a storm does not search for room with every alert. */
const FREED = 0.01;

/** The bounds of the cells that count for the violations. */
export function getCellBounds({ maxViolations, limitBytes }: MemoryLimits): CellBounds {
  return { maxCells: CELLS_PER_VIOLATION * maxViolations, maxBytes: CELLS_SHARE * limitBytes };
}

export class MemoryBudget {
  readonly meter: MemoryUsage;
  readonly #limits: MemoryLimits;
  /** Violations that were evicted. */
  forgotten = 0;
  /** True when the last search found nothing to evict; another search has no purpose before the next write. */
  #isStuck = false;

  constructor(limits: MemoryLimits, cells?: CellStore) {
    this.#limits = limits;
    this.meter = new MemoryUsage(cells);
  }

  /** Returns true where a new violation in `ledger` may be held; evicts others for it where that is possible. */
  tryReserve(ledger: Ledger, identity: Identity, ledgers: Iterable<Ledger>, us: EpochUs): boolean {
    return this.#hasShare(ledger, identity, us) && (this.#isWithin(1) || this.#makeRoom(ledgers, us));
  }

  hasReports(held: number): boolean {
    return held < this.#limits.maxReports;
  }

  /** Something has been written: what was in flight may give way again, and it may weigh more than before. */
  afterWrite(ledgers: Iterable<Ledger>, us: EpochUs): void {
    this.#isStuck = false;
    if (!this.#isWithin(1)) this.#makeRoom(ledgers, us);
  }

  #hasShare(ledger: Ledger, identity: Identity, us: EpochUs): boolean {
    const { maxViolationsPerWorkload: max } = this.#limits;
    const share = ledger.entries.shareOf(identity);
    if (!share || share.violations < max) return true;
    if (share.isStuck) return false;
    const half = Math.ceil(max / 2);
    const freed = this.#forget(ledger, workloadKey(identity), half, us);
    // The rest is in a write: until that is over it is no use to look again.
    if (freed < half) share.isStuck = true;
    return share.violations < max;
  }

  #isWithin(part: number): boolean {
    const { maxViolations, limitBytes } = this.#limits;
    return this.meter.violations < maxViolations * part && this.meter.bytesInAll < limitBytes * part;
  }

  #makeRoom(ledgers: Iterable<Ledger>, us: EpochUs): boolean {
    if (this.#isStuck) return false;
    const shares = [...ledgers].flatMap((ledger) =>
      [...ledger.entries.shares].map(([workload, { bytes, violations }]) => ({
        ledger,
        workload,
        bytes,
        violations,
      })),
    );
    shares.sort((a, b) => b.bytes - a.bytes);
    for (const { ledger, workload, violations } of shares) {
      if (this.#isWithin(1 - FREED)) break;
      if (violations > 1) this.#forget(ledger, workload, Math.ceil(violations / 2), us);
    }
    const isWithin = this.#isWithin(1);
    this.#isStuck = !isWithin;
    return isWithin;
  }

  #forget(ledger: Ledger, workload: string, count: number, us: EpochUs): number {
    const freed = ledger.forget(workload, count, us);
    this.forgotten += freed;
    return freed;
  }
}
