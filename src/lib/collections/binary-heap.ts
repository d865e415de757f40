// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Binary heap: the least item is at the top.

export class BinaryHeap<T> {
  readonly #items: T[];
  readonly #isBefore: (a: T, b: T) => boolean;

  /** `sorted` is an array in order, which is a heap; it is the heap's own from then on. */
  constructor(isBefore: (a: T, b: T) => boolean, sorted: T[] = []) {
    this.#isBefore = isBefore;
    this.#items = sorted;
  }

  /** All items, in no order. */
  get items(): readonly T[] {
    return this.#items;
  }

  get top(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    items.push(item);
    for (let i = items.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(items[i]!, items[parent]!)) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  pop(): void {
    const last = this.#items.pop();
    if (last === undefined || this.#items.length === 0) return;
    this.#items[0] = last;
    this.sinkTop();
  }

  /** Sorts the item at the top after it has grown. */
  sinkTop(): void {
    const items = this.#items;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < items.length && this.#isBefore(items[child]!, items[least]!)) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #swap(i: number, j: number): void {
    const items = this.#items;
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}
