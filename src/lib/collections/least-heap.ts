// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Keys by a number that may grow while a key is in the heap; ties by key.
// Invariant: pop gives a key of which no other has a smaller number. A key that has grown is sorted when it comes to
// the top, so that growing costs nothing.

import { BinaryHeap } from "./binary-heap.ts";

export class LeastHeap {
  readonly #getRank: (key: string) => number | undefined;
  readonly #heap = new BinaryHeap<{ readonly key: string; rank: number }>(
    (a, b) => a.rank < b.rank || (a.rank === b.rank && a.key < b.key),
  );
  /** Keys looked at by pop so far. */
  visits = 0;

  /** `getRank` gives the number of a key now; undefined where the key has left. */
  constructor(getRank: (key: string) => number | undefined) {
    this.#getRank = getRank;
  }

  /** Adds a key that is not there. */
  push(key: string): void {
    this.#heap.push({ key, rank: this.#getRank(key) ?? 0 });
  }

  /** Removes the key with the smallest number and returns it; undefined for none. */
  pop(): string | undefined {
    for (let { top } = this.#heap; top; top = this.#heap.top) {
      this.visits++;
      const rank = this.#getRank(top.key);
      if (rank === undefined || rank === top.rank) {
        this.#heap.pop();
        if (rank !== undefined) return top.key;
      } else {
        top.rank = rank;
        this.#heap.sinkTop();
      }
    }
    return undefined;
  }
}
