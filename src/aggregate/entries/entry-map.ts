// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The violations of one report by their keys, and in groups by workload.
// Invariant: memory usage of violations changes here alone. Any may be added or deleted while all are visited.

import {
  type Identity,
  isUnresolvedKey,
  podOfWorkload,
  violationId,
  workloadKey,
} from "../../ingest/violation/violation.ts";
import { SplitMap } from "../../lib/collections/split-map.ts";
import { type CountingReport, Entry, leaveEvidence } from "./entry.ts";
import { EntryTable } from "./entry-table.ts";
import type { MemoryUsage } from "./memory-usage.ts";
import { WorkloadShare } from "./workload-share.ts";

/** A workload without its violations; measured on Node 24. */
const SHARE_BYTES = 420;

export class EntryMap {
  readonly #meter: MemoryUsage;
  readonly #report: CountingReport;
  readonly #shares = new SplitMap<WorkloadShare>();
  #table = new EntryTable();
  #size = 0;
  readonly #unresolved = new Set<Entry>();
  /** Those of workloads that are pods. */
  readonly #podShares = new Set<WorkloadShare>();
  /** The key looked for last. */
  #last = { key: "", id: "", hash: 0 };

  constructor(meter: MemoryUsage, report: CountingReport) {
    this.#meter = meter;
    this.#report = report;
  }

  get size(): number {
    return this.#size;
  }

  get(key: string): Entry | undefined {
    return this.#table.get(key, this.#hash(key).hash);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Visits all that are there at the start and later, one workload after the other; others may be visited twice. */
  *values(): IterableIterator<Entry> {
    for (const { entries } of this.#shares.values()) {
      // The last one, which was visited, takes the position of one that is deleted.
      for (let i = entries.length - 1; i >= 0; i = Math.min(i, entries.length) - 1) yield entries[i]!;
    }
  }

  /** Entries of containers that have no name yet. */
  get unresolved(): ReadonlySet<Entry> {
    return this.#unresolved;
  }

  get podShares(): ReadonlySet<WorkloadShare> {
    return this.#podShares;
  }

  /** The violations of a workload, by workloadKey; undefined where there are none. */
  getShare(workload: string): WorkloadShare | undefined {
    return this.#shares.get(workload);
  }

  /** Adds a violation of which nothing is counted yet, but for what `prepare` counts: without that it is packed. */
  begin(key: string, identity: Identity, lowerBound: boolean, prepare?: (entry: Entry) => void): Entry {
    this.#hash(key);
    const entry = new Entry(key, identity, lowerBound, this.#last.id);
    prepare?.(entry);
    this.set(entry);
    return entry;
  }

  /** Adds an entry, in the place of one with the same key. */
  set(entry: Entry): void {
    const { key, id } = entry;
    this.#last = { key, id, hash: toHash(id) };
    if (this.get(key) === entry) return;
    this.delete(key);
    this.#table.add(entry, this.#last.hash);
    this.#size++;
    const share = this.#obtainShare(workloadKey(entry.identity));
    share.add(entry);
    if (isUnresolvedKey(key)) this.#unresolved.add(entry);
    this.#meter.add(share, share.weigh(entry, entry.pack()), 1);
  }

  delete(key: string): boolean {
    const entry = this.#table.delete(key, this.#hash(key).hash);
    if (!entry) return false;
    this.#leave(entry);
    this.#size--;
    return true;
  }

  clear(): void {
    for (const entry of this.values()) this.#leave(entry);
    this.#table = new EntryTable();
    this.#size = 0;
  }

  /** Packs an entry where it can be, and updates its bytes after its counts have changed. */
  updateBytes(entry: Entry): void {
    const share = entry.group as WorkloadShare | undefined;
    if (share) this.#meter.add(share, share.weigh(entry, entry.pack()), 0);
  }

  /** Releases the memory, cells and evidence of an entry that is removed. */
  #leave(entry: Entry): void {
    const share = entry.group as WorkloadShare;
    this.#meter.cells?.releaseAll(entry);
    this.#unresolved.delete(entry);
    leaveEvidence(entry);
    this.#meter.add(share, -share.remove(entry), -1);
    if (share.entries.length > 0) return;
    this.#shares.delete(share.workload);
    this.#podShares.delete(share);
    this.#meter.addOther(-SHARE_BYTES);
  }

  #obtainShare(workload: string): WorkloadShare {
    let share = this.#shares.get(workload);
    if (!share) {
      share = new WorkloadShare(workload, this.#report, this.#meter.packed);
      this.#shares.set(workload, share);
      if (podOfWorkload(workload) !== undefined) this.#podShares.add(share);
      this.#meter.addOther(SHARE_BYTES);
    }
    return share;
  }

  /** Sets `#last`. A sender can't choose bits of this hash at little cost. */
  #hash(key: string): { id: string; hash: number } {
    if (this.#last.key === key) return this.#last;
    const id = violationId(key);
    this.#last = { key, id, hash: toHash(id) };
    return this.#last;
  }
}

function toHash(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) | 0;
}
