// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// New Events that wait, by namespace. Invariant: where there are too many, the namespace with the most gives way.

import { parseSeriesNamespace } from "./series.ts";

export class WaitingCreates {
  readonly #byNamespace = new Map<string, Set<string>>();
  /** No namespace has more. */
  #atMost = 0;

  add(key: string): void {
    const namespace = parseSeriesNamespace(key);
    const keys = (this.#byNamespace.get(namespace) ?? new Set()).add(key);
    this.#byNamespace.set(namespace, keys);
    this.#atMost = Math.max(this.#atMost, keys.size);
  }

  delete(key: string): void {
    const namespace = parseSeriesNamespace(key);
    const keys = this.#byNamespace.get(namespace);
    if (keys?.delete(key) && keys.size === 0) this.#byNamespace.delete(namespace);
  }

  /** Returns the newest of the namespace with the most, where the one of `key` still has fewer with it. */
  findVictim(key: string): string | undefined {
    const own = this.#byNamespace.get(parseSeriesNamespace(key))?.size ?? 0;
    if (own + 1 >= this.#atMost) return undefined;
    const most = [...this.#byNamespace.values()].reduce((a, b) => (b.size > a.size ? b : a));
    this.#atMost = most.size;
    return most.size > own + 1 ? [...most].at(-1) : undefined;
  }
}
