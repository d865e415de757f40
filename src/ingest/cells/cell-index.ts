// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Finds cells by the hash of their deciding bytes.
// Invariant: a cell is found only where both halves of the hash and the bytes themselves are equal; cells with equal
// hashes stand side by side.

import type { RawAlert } from "../../api/alert.ts";
import type { Hash64 } from "./alert-hash.ts";

/** Slots at the start: a power of two, as every number of slots; at most half of them are used. */
const FIRST_SLOTS = 4096;
/** Numbers of one slot: the halves of the hash and the cell, 0 where the slot is free. */
const WIDTH = 4;
const HIGH = 1;
const CELL = 2;

export class CellIndex {
  size = 0;
  #slots = new Int32Array(WIDTH * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  readonly #matches: (cell: number, raw: RawAlert) => boolean;

  /** `matches` compares bytes. */
  constructor(matches: (cell: number, raw: RawAlert) => boolean) {
    this.#matches = matches;
  }

  /** Returns 0 where there is none. */
  find({ low, high }: Hash64, raw: RawAlert): number {
    const slots = this.#slots;
    for (let slot = low & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * WIDTH;
      const cell = slots[at + CELL]!;
      if (cell === 0) return 0;
      if (slots[at] === low && slots[at + HIGH] === high && this.#matches(cell, raw)) return cell;
    }
  }

  /** Adds a cell that `find` does not find. */
  add({ low, high }: Hash64, cell: number): void {
    if (++this.size * 2 > this.#mask) this.#grow();
    this.#put(low, high, cell);
  }

  /** `low` is that of its hash. Cells behind it move up, so that no search ends before them. */
  delete(low: number, cell: number): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = low & mask;
    while (slots[hole * WIDTH + CELL] !== cell) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; slots[next * WIDTH + CELL] !== 0; next = (next + 1) & mask) {
      const home = slots[next * WIDTH]! & mask;
      // A cell stays where its home is behind the hole.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      slots.copyWithin(hole * WIDTH, next * WIDTH, (next + 1) * WIDTH);
      hole = next;
    }
    slots[hole * WIDTH + CELL] = 0;
    this.size--;
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
    const before = this.#slots;
    this.#slots = new Int32Array(2 * before.length);
    this.#mask = 2 * this.#mask + 1;
    for (let at = 0; at < before.length; at += WIDTH) {
      if (before[at + CELL] !== 0) this.#put(before[at]!, before[at + HIGH]!, before[at + CELL]!);
    }
  }
}
