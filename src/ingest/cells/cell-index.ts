// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds cells by the hash of their deciding bytes. A full table is moved to one of twice its size in parts.
// Invariant: a cell is found only where both halves of the hash and the bytes themselves are equal; it is in one of the
// two tables.

import type { RawAlert } from "../../api/alert.ts";
import type { Hash64 } from "./alert-hash.ts";

/** Slots at the start: a power of two, as every number of slots; at most half of them are used. */
const FIRST_SLOTS = 4096;
/** Slots moved with each cell that is added, or found in the smaller table. */
const MOVED_AT_ONCE = 64;
/** Numbers of one slot: the halves of the hash and the cell, 0 where the slot is free. */
const WIDTH = 4;
const HIGH = 1;
const CELL = 2;
/** In the place of a cell that has left the smaller table: searches go on behind it. */
const GONE = -1;

type Matches = (cell: number, raw: RawAlert) => boolean;

export class CellIndex {
  size = 0;
  #slots = new Int32Array(WIDTH * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  /** The smaller table, until all of it is moved, and the next slot to be moved. */
  #before: Int32Array | undefined;
  #next = 0;
  readonly #matches: Matches;

  /** `matches` compares bytes. */
  constructor(matches: Matches) {
    this.#matches = matches;
  }

  /** Returns 0 where there is none. */
  find(hash: Hash64, raw: RawAlert): number {
    const { low, high } = hash;
    const slots = this.#slots;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WIDTH;
      const cell = slots[at + CELL]!;
      if (cell === 0) return this.#before === undefined ? 0 : this.#findBefore(this.#before, hash, raw);
      if (slots[at] === low && slots[at + HIGH] === high && this.#matches(cell, raw)) return cell;
    }
  }

  #findBefore(slots: Int32Array, { low, high }: Hash64, raw: RawAlert): number {
    const mask = slots.length / WIDTH - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WIDTH;
      const cell = slots[at + CELL]!;
      if (cell === 0) return 0;
      if (slots[at] !== low || slots[at + HIGH] !== high || cell === GONE || !this.#matches(cell, raw)) continue;
      this.#move(slots);
      return cell;
    }
  }

  /** Adds a cell that `find` does not find. */
  add({ low, high }: Hash64, cell: number): void {
    if (this.#before) this.#move(this.#before);
    if (++this.size * 2 > this.#mask) this.#grow();
    this.#put(low, high, cell);
  }

  /** `low` is that of its hash. */
  delete(low: number, cell: number): void {
    this.size--;
    const hole = findCell(this.#slots, low, cell);
    if (hole >= 0) this.#empty(hole);
    else if (this.#before) this.#before[findCell(this.#before, low, cell) * WIDTH + CELL] = GONE;
  }

  /** Cells behind the slot move up, so that no search ends before them. */
  #empty(slot: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = slot;
    for (let next = (hole + 1) & mask; slots[next * WIDTH + CELL] !== 0; next = (next + 1) & mask) {
      const home = slots[next * WIDTH]! & mask;
      // A cell stays where its home is behind the hole.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots.copyWithin(hole * WIDTH, next * WIDTH, (next + 1) * WIDTH);
      hole = next;
    }
    slots[hole * WIDTH + CELL] = 0;
  }

  #put(low: number, high: number, cell: number): void {
    let slot = low & this.#mask;
    while (this.#slots[slot * WIDTH + CELL] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * WIDTH;
    this.#slots[at] = low;
    this.#slots[at + HIGH] = high;
    this.#slots[at + CELL] = cell;
  }

  #grow(): void {
    this.#before = this.#slots;
    this.#next = 0;
    this.#slots = new Int32Array(2 * this.#before.length);
    this.#mask = 2 * this.#mask + 1;
  }

  #move(before: Int32Array): void {
    for (const end = this.#next + MOVED_AT_ONCE * WIDTH; this.#next < end; this.#next += WIDTH) {
      const cell = before[this.#next + CELL]!;
      if (cell > 0) this.#put(before[this.#next]!, before[this.#next + HIGH]!, cell);
      if (cell > 0) before[this.#next + CELL] = GONE;
    }
    if (this.#next === before.length) this.#before = undefined;
  }
}

/** Returns the slot of a cell; -1 for none. */
function findCell(slots: Int32Array, low: number, cell: number): number {
  const mask = slots.length / WIDTH - 1;
  for (let slot = low & mask; slots[slot * WIDTH + CELL] !== 0; slot = (slot + 1) & mask)
    if (slots[slot * WIDTH + CELL] === cell) return slot;
  return -1;
}
