// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gives equal texts one place in memory: most texts of a violation occur in its neighbors as well.
// Invariant: a pure cache. It holds no more than its bound, and drops the older half there.

export class TextPool<T> {
  readonly #maxEntries: number;
  readonly #make: (text: string) => T;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  /** `make` makes what stands for a text; at most `maxEntries` texts are known. */
  constructor(maxEntries: number, make: (text: string) => T) {
    this.#maxEntries = maxEntries;
    this.#make = make;
  }

  /** Returns what stands for the text: the same as the last time, unless that is long ago. */
  get(text: string): T {
    const young = this.#young.get(text);
    if (young !== undefined) return young;
    if (this.#young.size * 2 >= this.#maxEntries) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    const shared = this.#old.get(text) ?? this.#make(text);
    this.#young.set(text, shared);
    return shared;
  }
}
