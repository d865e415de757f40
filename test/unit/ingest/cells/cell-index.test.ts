// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { expect, it } from "vitest";
import type { RawAlert } from "../../../../src/api/alert.ts";
import { CellIndex } from "../../../../src/ingest/cells/cell-index.ts";

/** The table is moved to larger ones four times. */
const CELLS = 20_000;
/** Looked for; the bytes are those of one cell. */
const toAlert = (cell: number) => ({ cell }) as unknown as RawAlert;

/** Many have neighbors with equal hashes. */
function hashes(seed: number): (cell: number) => { low: number; high: number } {
  return (cell) => ({ low: Math.imul((cell >>> 1) + seed, 0x9e3779b1) | 0, high: cell >>> 2 });
}

it("finds what was added and not deleted, while it grows and after that", () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 2, max: 9 }), (seed, kept) => {
      const index = new CellIndex((cell, raw) => (raw as unknown as { cell: number }).cell === cell);
      const toHash = hashes(seed);
      const isThere = (cell: number) => index.find(toHash(cell), toAlert(cell)) === cell;
      const wrong: number[] = [];
      const held = new Set<number>();
      for (let cell = 1; cell <= CELLS; cell++) {
        if (isThere(cell)) wrong.push(cell);
        index.add(toHash(cell), cell);
        held.add(cell);
        // One that was added long ago, and one of late.
        for (const other of [Math.ceil(cell / 3), Math.ceil(cell / 5) * 5 - 4]) {
          if (isThere(other) !== held.has(other)) wrong.push(other);
          if (other % kept === 0 || !held.delete(other)) continue;
          index.delete(toHash(other).low, other);
          if (isThere(other)) wrong.push(other);
        }
      }
      for (let cell = 1; cell <= CELLS; cell++) if (isThere(cell) !== held.has(cell)) wrong.push(cell);
      expect([wrong, index.size]).toEqual([[], held.size]);
    }),
    { numRuns: 20 },
  );
});

it("reads a bounded number of slots where it grows", () => {
  const { Int32Array: Original } = globalThis;
  let reads = 0;
  globalThis.Int32Array = class extends Original {
    constructor(length: number) {
      super(length);
      // biome-ignore lint/correctness/noConstructorReturn: counts each read.
      return new Proxy(this, {
        get: (slots, name) => {
          reads++;
          const value = Reflect.get(slots, name);
          return typeof value === "function" ? value.bind(slots) : value;
        },
      });
    }
  } as unknown as Int32ArrayConstructor;
  try {
    const counted = new CellIndex(() => false);
    const toHash = hashes(1);
    let most = 0;
    for (let cell = 1; cell <= CELLS; cell++) {
      const before = reads;
      counted.add(toHash(cell), cell);
      most = Math.max(most, reads - before);
    }
    expect(most).toBeLessThan(1000);
    expect(counted.size).toBe(CELLS);
  } finally {
    globalThis.Int32Array = Original;
  }
});
