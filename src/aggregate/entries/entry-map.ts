// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The violations of one report by their keys (open addressing with linear probing), in groups by workload.
// Invariant: memory usage of violations changes here alone. The current one may be deleted while all are visited.

import {
  type Identity,
  isEarlyKey,
  podOfWorkload,
  violationId,
  workloadKey,
} from "../../ingest/violation/violation.ts";
import { type CountingReport, Entry, leaveEvidence } from "./entry.ts";
import type { MemoryUsage } from "./memory-usage.ts";
import { WorkloadShare } from "./workload-share.ts";

/** Slots at the start: a power of two, as every number of slots; at most half of them are used. */
const FIRST_SLOTS = 8;
/** A workload without its violations; measured on Node 24. */
const SHARE_BYTES = 420;

export class EntryMap {
  readonly #meter: MemoryUsage;
  readonly #report: CountingReport;
  readonly #shares = new Map<string, WorkloadShare>();
  /** The first half of the id of the entry in each slot. */
  #hashes = new Int32Array(FIRST_SLOTS);
  #slots: (Entry | undefined)[] = new Array(FIRST_SLOTS).fill(undefined);
  #size = 0;
  readonly #early = new Set<Entry>();
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
    return this.#slots[this.#findSlot(key)];
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Visits all, one workload after the other. */
  *values(): IterableIterator<Entry> {
    for (const { entries } of this.#shares.values()) {
      for (let i = 0; i < entries.length; ) {
        const entry = entries[i]!;
        yield entry;
        // The last one takes the position of one that was deleted.
        if (entries[i] === entry) i++;
      }
    }
  }

  /** Entries of containers that have no name yet. */
  get early(): ReadonlySet<Entry> {
    return this.#early;
  }

  /** Entries whose workload is a pod with `hasPod`, or whose container has no name yet. */
  *unnamed(hasPod: (pod: string) => boolean): IterableIterator<Entry> {
    const isOfPod = (workload: string | undefined) => {
      const pod = podOfWorkload(workload ?? "");
      return pod !== undefined && hasPod(pod);
    };
    for (const { workload, entries } of this.#shares.values()) if (isOfPod(workload)) yield* entries;
    for (const entry of this.#early) if (!isOfPod(entry.group?.workload)) yield entry;
  }

  /** The violations of a workload, by workloadKey; undefined where there are none. */
  getShare(workload: string): WorkloadShare | undefined {
    return this.#shares.get(workload);
  }

  /** Adds a violation of which nothing is counted yet. */
  begin(key: string, identity: Identity, lowerBound: boolean): Entry {
    this.#hash(key);
    const entry = new Entry(key, identity, lowerBound, this.#last.id);
    this.set(entry);
    return entry;
  }

  /** Adds an entry, in the place of one with the same key. */
  set(entry: Entry): void {
    const { key, id } = entry;
    this.#last = { key, id, hash: toHash(id) };
    if (this.get(key) === entry) return;
    this.delete(key);
    if (++this.#size * 2 > this.#slots.length) this.#grow();
    const slot = this.#findSlot(key);
    this.#slots[slot] = entry;
    this.#hashes[slot] = this.#last.hash;
    const share = this.#obtainShare(workloadKey(entry.identity));
    share.add(entry);
    if (isEarlyKey(key)) this.#early.add(entry);
    this.#meter.add(share, share.weigh(entry, entry.pack()), 1);
  }

  delete(key: string): boolean {
    const slot = this.#findSlot(key);
    const entry = this.#slots[slot];
    if (!entry) return false;
    this.#leave(entry);
    this.#empty(slot);
    this.#size--;
    return true;
  }

  clear(): void {
    for (const entry of this.values()) this.#leave(entry);
    this.#slots = new Array(FIRST_SLOTS).fill(undefined);
    this.#hashes = new Int32Array(FIRST_SLOTS);
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
    this.#early.delete(entry);
    leaveEvidence(entry);
    this.#meter.add(share, -share.remove(entry), -1);
    if (share.entries.length > 0) return;
    this.#shares.delete(share.workload);
    this.#meter.addOther(-SHARE_BYTES);
  }

  #obtainShare(workload: string): WorkloadShare {
    let share = this.#shares.get(workload);
    if (!share) {
      share = new WorkloadShare(workload, this.#report, this.#meter.packed);
      this.#shares.set(workload, share);
      this.#meter.addOther(SHARE_BYTES);
    }
    return share;
  }

  /** Returns the slot that holds the key, or the free one that would; sets `#last`. */
  #findSlot(key: string): number {
    const { hash } = this.#hash(key);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot];
      if (entry === undefined || (this.#hashes[slot] === hash && entry.key === key)) return slot;
    }
  }

  /** Sets `#last`. A sender can't choose bits of this hash at little cost. */
  #hash(key: string): { id: string; hash: number } {
    if (this.#last.key === key) return this.#last;
    const id = violationId(key);
    this.#last = { key, id, hash: toHash(id) };
    return this.#last;
  }

  /** Frees a slot; entries behind it move up, so that no search ends before them. */
  #empty(slot: number): void {
    const mask = this.#slots.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; this.#slots[next] !== undefined; next = (next + 1) & mask) {
      const home = this.#hashes[next]! & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = this.#slots[next];
      this.#hashes[hole] = this.#hashes[next]!;
      hole = next;
    }
    this.#slots[hole] = undefined;
  }

  #grow(): void {
    const [slots, hashes] = [this.#slots, this.#hashes];
    this.#slots = new Array(2 * slots.length).fill(undefined);
    this.#hashes = new Int32Array(2 * slots.length);
    const mask = this.#slots.length - 1;
    for (const [i, entry] of slots.entries()) {
      if (entry === undefined) continue;
      let slot = hashes[i]! & mask;
      while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
      this.#slots[slot] = entry;
      this.#hashes[slot] = hashes[i]!;
    }
  }
}

function toHash(id: string): number {
  return Number.parseInt(id.slice(0, 8), 16) | 0;
}
