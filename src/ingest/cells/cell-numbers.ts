// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers of cells, side by side outside the heap.

/** Cells are reserved by the thousand. */
const CHUNK_BITS = 10;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;

/** Numbers of one cell. */
export const WIDTH = 8;
export const PLACE = 0;
/** Length of the deciding bytes, and marks above LENGTH_MASK. */
export const LENGTH = 1;
export const LENGTH_MASK = 0xffff;
export const RECORD = 2;
export const CONTAINER = 3;
/** Neighbors of the same owner; 0 for none. */
export const PREVIOUS_CELL = 4;
export const NEXT_CELL = 5;
export const HASH_LOW = 6;
/** Index in the pool of subjects. */
export const SUBJECT = 7;

/** Marks of a cell, above LENGTH_MASK. It was used of late. */
export const RECENT = 0x10000;
export const OWNED = 0x20000;
export const IN_USE = 0x40000;
/** Its counter knows that it has counts, and has not taken them since. */
export const LISTED = 0x80000;
/** Its counter knows that its counts have changed, and has not looked at them since. */
export const NOTED = 0x100000;

export class CellNumbers {
  readonly #chunks: Int32Array[] = [];

  /** Returns the numbers in which those of the cell begin at `base`. */
  at(cell: number): Int32Array {
    return this.#chunks[cell >>> CHUNK_BITS]!;
  }

  reserve(cell: number): void {
    if (this.#chunks.length <= cell >>> CHUNK_BITS) this.#chunks.push(new Int32Array(WIDTH << CHUNK_BITS));
  }
}

export function base(cell: number): number {
  return (cell & CHUNK_MASK) * WIDTH;
}
