// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations by their keys: open addressing with linear probing. A table that is full becomes a branch of tables, so that
// growing moves a bounded number of them.

import type { Entry } from "./entry.ts";

/** Slots at the start: a power of two, as every number of slots; at most half of them are used. */
const FIRST_SLOTS = 8;
export const MAX_SLOTS = 4096;
/** Slots of a table in a branch: four times what it gets at first. */
const BRANCH_SLOTS = 512;
const BRANCH_BITS = 4;
const HASH_BITS = 32;

export class EntryTable {
  /** The first half of the id of the entry in each slot. */
  #hashes: Int32Array;
  #slots: (Entry | undefined)[];
  #used = 0;
  /** The tables of a branch, by the bits of the hash from `#shift` on; undefined where this one holds the entries. */
  #branches: EntryTable[] | undefined;
  readonly #shift: number;

  constructor(slots = FIRST_SLOTS, shift = HASH_BITS - BRANCH_BITS) {
    this.#hashes = new Int32Array(slots);
    this.#slots = new Array(slots).fill(undefined);
    this.#shift = shift;
  }

  get(key: string, hash: number): Entry | undefined {
    const table = this.#find(hash);
    return table.#slots[table.#findSlot(key, hash)];
  }

  /** Adds an entry. No entry of the table may have its key. */
  add(entry: Entry, hash: number): void {
    const table = this.#find(hash);
    if ((table.#used + 1) * 2 > table.#slots.length) {
      table.#grow();
      this.add(entry, hash);
      return;
    }
    table.#put(entry, hash);
  }

  delete(key: string, hash: number): Entry | undefined {
    const table = this.#find(hash);
    const slot = table.#findSlot(key, hash);
    const entry = table.#slots[slot];
    if (entry) table.#empty(slot);
    return entry;
  }

  #find(hash: number): EntryTable {
    let table: EntryTable = this;
    while (table.#branches) table = table.#branches[(hash >>> table.#shift) & ((1 << BRANCH_BITS) - 1)]!;
    return table;
  }

  /** Returns the slot that holds the key, or the free one that would. */
  #findSlot(key: string, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot];
      if (entry === undefined || (this.#hashes[slot] === hash && entry.key === key)) return slot;
    }
  }

  #put(entry: Entry, hash: number): void {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask;
    this.#slots[slot] = entry;
    this.#hashes[slot] = hash;
    this.#used++;
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
    this.#used--;
  }

  #grow(): void {
    const [slots, hashes] = [this.#slots, this.#hashes];
    const shift = this.#shift - BRANCH_BITS;
    const isBranch = slots.length >= MAX_SLOTS && this.#shift >= 0;
    if (isBranch) this.#branches = Array.from({ length: 1 << BRANCH_BITS }, () => new EntryTable(BRANCH_SLOTS, shift));
    this.#slots = new Array(isBranch ? 0 : 2 * slots.length).fill(undefined);
    this.#hashes = new Int32Array(this.#slots.length);
    this.#used = 0;
    for (const [i, entry] of slots.entries()) if (entry) this.add(entry, hashes[i]!);
  }
}
