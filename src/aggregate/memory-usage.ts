// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Estimated bytes of the violations in memory, by workload. Invariant: the usage is the sum over all maps that share
// it; entries of a map are added and subtracted here and nowhere else.

import type { CellStore } from "../ingest/cell-store.ts";
import { type Identity, workloadKey } from "../ingest/violation.ts";
import { Entry } from "./entry.ts";
import type { Tally } from "./tally.ts";

/** Violations in memory, over all reports. */
export class MemoryUsage {
  violations = 0;
  /** An estimate of the heap that they take. */
  bytes = 0;
  /** Count for them. */
  readonly cells: CellStore | undefined;

  constructor(cells?: CellStore) {
    this.cells = cells;
  }

  /** An estimate of the memory that violations and cells take. */
  get bytesInAll(): number {
    return this.bytes + (this.cells?.bytes ?? 0);
  }
}

/** The violations of one workload in one report. */
export interface Share {
  /** Its key: one text for all of its violations. */
  readonly workload: string;
  violations: number;
  bytes: number;
  /** True when the last search found nothing in it to evict. */
  isStuck: boolean;
}

// Measured on Node 24: a test compares the estimate with the heap.
const ENTRY_BYTES = 180;
const TALLY_BYTES = 180;
const ONLY_POD_BYTES = 90;
const PODS_BYTES = 200;
const POD_BYTES = 150;

/** The violations of one report by their keys. */
export class EntryMap extends Map<string, Entry> {
  readonly #meter: MemoryUsage;
  readonly #shares = new Map<string, Share>();

  constructor(meter: MemoryUsage) {
    super();
    this.#meter = meter;
  }

  /** Shares by workload. */
  get shares(): ReadonlyMap<string, Readonly<Share>> {
    return this.#shares;
  }

  shareOf(identity: Identity): Share | undefined {
    return this.#shares.get(workloadKey(identity));
  }

  /** Adds a violation of which nothing is counted yet. */
  begin(key: string, identity: Identity, lowerBound: boolean): Entry {
    const workload = workloadKey(identity);
    const entry = new Entry(key, identity, lowerBound, this.#shares.get(workload)?.workload ?? workload);
    this.set(key, entry);
    return entry;
  }

  override set(key: string, entry: Entry): this {
    this.#leave(this.get(key));
    this.#putOn(entry);
    return super.set(key, entry);
  }

  override delete(key: string): boolean {
    this.#leave(this.get(key));
    return super.delete(key);
  }

  override clear(): void {
    for (const entry of this.values()) this.#leave(entry);
    super.clear();
  }

  /** Updates the bytes of an entry after its counts have changed. */
  updateBytes(entry: Entry): void {
    if (entry.heldBytes === 0) return;
    this.#takeOff(entry);
    this.#putOn(entry);
  }

  #putOn(entry: Entry): void {
    const bytes = weigh(entry);
    const { workload } = entry;
    const share = this.#shares.get(workload) ?? { workload, violations: 0, bytes: 0, isStuck: false };
    share.violations++;
    share.bytes += bytes;
    share.isStuck = false;
    this.#shares.set(workload, share);
    entry.heldBytes = bytes;
    this.#meter.violations++;
    this.#meter.bytes += bytes;
  }

  /** Takes off what is to be held no more. */
  #leave(entry: Entry | undefined): void {
    if (!entry) return;
    this.#takeOff(entry);
    this.#meter.cells?.releaseAll(entry);
    for (const tally of [entry.committed, entry.inFlight, entry.pending]) tally?.latest?.leave();
  }

  #takeOff(entry: Entry): void {
    const { heldBytes: bytes, workload } = entry;
    if (bytes === 0) return;
    const share = this.#shares.get(workload);
    if (share) {
      share.violations--;
      share.bytes -= bytes;
      if (share.violations === 0) this.#shares.delete(workload);
    }
    entry.heldBytes = 0;
    this.#meter.violations--;
    this.#meter.bytes -= bytes;
  }
}

/** An estimate of the heap that one violation takes. */
export function weigh(entry: Entry): number {
  let bytes = ENTRY_BYTES + entry.key.length;
  for (const tally of [entry.committed, entry.inFlight, entry.pending]) if (tally) bytes += weighTally(tally);
  return bytes;
}

function weighTally({ pods, latest }: Tally): number {
  const { size } = pods;
  const ofPods = size === 0 ? 0 : size === 1 ? ONLY_POD_BYTES : PODS_BYTES + size * POD_BYTES;
  return TALLY_BYTES + ofPods + (latest?.weight ?? 0);
}
