// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tells exact duplicates: a relay that is connected to a node twice delivers the very same alert twice.
// Invariant: memory is bounded by maxEntries keys; at the bound the older half is forgotten.

export interface DuplicateWindow {
  /** How long a key is remembered at least, in milliseconds, unless maxEntries forces it out sooner. */
  windowMs: number;
  /** Keys remembered at most. */
  maxEntries: number;
}

/** Remembers keys in two generations, so that forgetting costs nothing per key. */
export class DuplicateFilter {
  readonly #options: DuplicateWindow;
  #young = new Set<string>();
  #old = new Set<string>();
  #turnedMs = 0;

  constructor(options: DuplicateWindow) {
    this.#options = options;
  }

  /** Returns true when the same key came within the window; else remembers it. */
  isDuplicate(key: string, nowMs: number): boolean {
    this.#turn(nowMs);
    if (this.#young.has(key) || this.#old.has(key)) return true;
    this.#young.add(key);
    return false;
  }

  #turn(nowMs: number): void {
    const aged = nowMs - this.#turnedMs >= this.#options.windowMs;
    if (!aged && this.#young.size * 2 < this.#options.maxEntries) return;
    this.#old = this.#young;
    this.#young = new Set();
    this.#turnedMs = nowMs;
  }
}
