// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Estimated bytes of the violations in memory, and the workloads that hold the most of them.
// Invariant: the usage is the sum over all maps that share it. Each call visits a bounded number of workloads.

import type { CellStore } from "../../ingest/cells/cell-store.ts";
import { ListedSet } from "../../lib/collections/listed-set.ts";
import { PackedEntries } from "./packed-entries.ts";
import type { WorkloadShare } from "./workload-share.ts";

/** Workloads compared for the largest: of the others none is twice as large. */
const MAX_COMPARED = 64;

export class MemoryUsage {
  violations = 0;
  /** An estimate of the memory that they take. */
  bytes = 0;
  /** Holds those with committed counts only. */
  readonly packed = new PackedEntries();
  /** Count for them. */
  readonly cells: CellStore | undefined;
  #otherBytes = 0;
  /** Shares with entries that can be evicted, by the length of their bytes in binary digits. */
  readonly #byLength = Array.from({ length: 54 }, () => new ListedSet<"place", WorkloadShare>("place"));

  constructor(cells?: CellStore) {
    this.cells = cells;
  }

  /** An estimate of the memory that violations, cells and what belongs to them take. */
  get bytesInAll(): number {
    return this.bytes + this.#otherBytes + (this.cells?.bytes ?? 0);
  }

  /** Adds bytes of workloads and of sets of subjects; negative ones are subtracted. */
  addOther(bytes: number): void {
    this.#otherBytes += bytes;
  }

  /** Adds bytes and violations of a share; negative ones are subtracted. */
  add(share: WorkloadShare, bytes: number, violations: number): void {
    this.violations += violations;
    this.bytes += bytes;
    share.bytes += bytes;
    share.isStuck = false;
    this.#sort(share);
  }

  /** Leaves a share out of `largest` until something in it changes. */
  setStuck(share: WorkloadShare): void {
    share.isStuck = true;
    this.#sort(share);
  }

  /** The largest share with entries that can be evicted; undefined for none. */
  get largest(): WorkloadShare | undefined {
    const shares = this.#byLength.findLast(({ size }) => size > 0);
    let largest: WorkloadShare | undefined;
    let compared = 0;
    for (const share of shares?.list ?? []) {
      if (++compared > MAX_COMPARED) break;
      if (!largest || share.bytes > largest.bytes) largest = share;
    }
    return largest;
  }

  #sort(share: WorkloadShare): void {
    // A workload's only violation in a report is never evicted.
    const length = share.entries.length < 2 || share.isStuck ? 0 : 1 + Math.floor(Math.log2(share.bytes));
    if (length === share.length) return;
    if (share.length > 0) this.#byLength[share.length]?.delete(share);
    if (length > 0) this.#byLength[length]?.add(share);
    share.length = length;
  }
}
