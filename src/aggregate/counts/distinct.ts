// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Number of distinct keys. Invariant: never more than there are, and never less than was reported before. Keys with
// equal hashes of 53 bits are counted once.

/** Slots at the start: a power of two, as every number of slots; at most half of them are used. */
const FIRST_SLOTS = 8;
const SLOT_BYTES = 8;

/** Distinct things, exact in one process's life; `floor` is what the stored report already counted. */
export class Distinct {
  floor = 0;
  /** Hashes of the keys; 0 where the slot is free. */
  #slots = new Float64Array(FIRST_SLOTS);
  #size = 0;
  readonly #onBytes: (bytes: number) => void;
  /** Keys that are distinguished; beyond it the count stays, as a lower bound. */
  static readonly MAX = 10_000;

  /** `onBytes` receives the bytes by which the memory grows beyond its first size, and less than 0 with clear. */
  constructor(onBytes: (bytes: number) => void = () => {}) {
    this.#onBytes = onBytes;
  }

  add(key: string): boolean {
    if (this.#size >= Distinct.MAX) return false;
    const hash = hashText(key);
    const slot = this.#findSlot(hash);
    if (this.#slots[slot] !== 0) return false;
    this.#slots[slot] = hash;
    if (++this.#size * 2 > this.#slots.length) this.#grow();
    return true;
  }

  /** Counts members of `from` as `to`. */
  move(from: string, to: string): void {
    if (!this.#delete(hashText(from))) return;
    if (!this.add(to)) this.floor = Math.max(0, this.floor - 1);
  }

  get count(): number {
    return Math.max(this.floor, this.#size);
  }

  /** Returns true where the key was added, and always for a full set. */
  mayHave(key: string): boolean {
    return this.#size >= Distinct.MAX || this.#slots[this.#findSlot(hashText(key))] !== 0;
  }

  clear(): void {
    this.#onBytes(SLOT_BYTES * (FIRST_SLOTS - this.#slots.length));
    this.#slots = new Float64Array(FIRST_SLOTS);
    this.#size = 0;
  }

  /** Hashes behind the slot that becomes free move up, so that no search ends before them. */
  #delete(hash: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#findSlot(hash);
    if (slots[hole] === 0) return false;
    for (let next = (hole + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
      if (((next - (slots[next]! & mask)) & mask) < ((next - hole) & mask)) continue;
      slots[hole] = slots[next]!;
      hole = next;
    }
    slots[hole] = 0;
    this.#size--;
    return true;
  }

  /** Returns the slot that holds the hash, or the free one that would. */
  #findSlot(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const slots = this.#slots;
    this.#slots = new Float64Array(2 * slots.length);
    this.#onBytes(SLOT_BYTES * slots.length);
    for (const hash of slots) if (hash !== 0) this.#slots[this.#findSlot(hash)] = hash;
  }
}

/** Two rounds of FNV-1a with different primes; never 0. */
function hashText(key: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
  }
  low ^= low >>> 15;
  high ^= high >>> 13;
  return (high & 0x1fffff) * 0x1_0000_0000 + (low >>> 0) + 1;
}
