// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Binary heap of items by due time. An item that is removed from the middle stays until it comes to the top, or until
// the removed ones are the majority.

export class DueHeap<T extends { readonly dueMs: number }> {
  #heap: { item: T; dueMs: number; order: number }[] = [];
  readonly #live = new Map<T, number>();
  #order = 0;

  push(item: T): void {
    const order = this.#order++;
    this.#live.set(item, order);
    const heap = this.#heap;
    heap.push({ item, dueMs: item.dueMs, order });
    for (let i = heap.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  remove(item: T): void {
    this.#live.delete(item);
    // Else the heap of a key that is added again and again would grow.
    if (this.#heap.length > 2 * this.#live.size + 16) this.#rebuild();
  }

  /** The earliest item, the one added first among equals. */
  peek(): T | undefined {
    for (let top = this.#heap[0]; top; top = this.#heap[0]) {
      if (this.#live.get(top.item) === top.order) return top.item;
      this.#pop();
    }
    return undefined;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && this.#isBefore(child, least)) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #rebuild(): void {
    const live = this.#heap.filter(({ item, order }) => this.#live.get(item) === order);
    // A sorted array is a heap.
    this.#heap = live.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order);
  }

  #isBefore(i: number, j: number): boolean {
    const a = this.#heap[i] as { dueMs: number; order: number };
    const b = this.#heap[j] as { dueMs: number; order: number };
    return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
  }

  #swap(i: number, j: number): void {
    const heap = this.#heap as { item: T; dueMs: number; order: number }[];
    [heap[i], heap[j]] = [heap[j] as (typeof heap)[0], heap[i] as (typeof heap)[0]];
  }
}
