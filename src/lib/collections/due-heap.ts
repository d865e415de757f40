// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Binary heap of items by due time. An item that is removed from the middle stays until it comes to the top, or until
// the removed ones are the majority.

import { BinaryHeap } from "./binary-heap.ts";

interface Due<T> {
  readonly item: T;
  readonly dueMs: number;
  readonly order: number;
}

export class DueHeap<T extends { readonly dueMs: number }> {
  #heap = new BinaryHeap<Due<T>>(isBefore);
  readonly #live = new Map<T, number>();
  #order = 0;

  push(item: T): void {
    const order = this.#order++;
    this.#live.set(item, order);
    this.#heap.push({ item, dueMs: item.dueMs, order });
  }

  remove(item: T): void {
    this.#live.delete(item);
    // Else the heap of a key that is added again and again would grow.
    if (this.#heap.items.length > 2 * this.#live.size + 16) this.#rebuild();
  }

  /** The earliest item, the one added first among equals. */
  peek(): T | undefined {
    for (let { top } = this.#heap; top; top = this.#heap.top) {
      if (this.#live.get(top.item) === top.order) return top.item;
      this.#heap.pop();
    }
    return undefined;
  }

  #rebuild(): void {
    const live = this.#heap.items.filter(({ item, order }) => this.#live.get(item) === order);
    const sorted = live.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order);
    this.#heap = new BinaryHeap(isBefore, sorted);
  }
}

function isBefore<T>(a: Due<T>, b: Due<T>): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
