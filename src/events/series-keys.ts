// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Keys of series by namespace, in the order in which they were added last.
// Invariant: beyond the bound, the namespace with the most loses one.

import { parseSeriesNamespace } from "./series.ts";

export class SeriesKeys {
  readonly #byNamespace = new Map<string, Set<string>>();
  /** No namespace has more. */
  #atMost = 0;

  /** Adds the key, or moves it to the end. */
  add(key: string): void {
    const namespace = parseSeriesNamespace(key);
    const keys = this.#byNamespace.get(namespace) ?? new Set();
    this.#byNamespace.set(namespace, keys);
    keys.delete(key);
    keys.add(key);
    this.#atMost = Math.max(this.#atMost, keys.size);
  }

  delete(key: string): void {
    const namespace = parseSeriesNamespace(key);
    const keys = this.#byNamespace.get(namespace);
    if (keys?.delete(key) && keys.size === 0) this.#byNamespace.delete(namespace);
  }

  /** Returns the keys of the namespace of `key`, the oldest first. */
  listNeighbors(key: string): ReadonlySet<string> | undefined {
    return this.#byNamespace.get(parseSeriesNamespace(key));
  }

  /** Returns the keys of the namespace with the most, where the one of `key` still has fewer with it. */
  findLarger(key: string): ReadonlySet<string> | undefined {
    const own = this.listNeighbors(key)?.size ?? 0;
    if (own + 1 >= this.#atMost) return undefined;
    const most = [...this.#byNamespace.values()].reduce((a, b) => (b.size > a.size ? b : a));
    this.#atMost = most.size;
    return most.size > own + 1 ? most : undefined;
  }
}
