// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A way through entries from the last one to the first. Invariant: others may be added and removed meanwhile; all that are
// there at the start and not removed are visited.

import type { Entry } from "./entry.ts";

type Entries = readonly Entry[];

export class EntryPass {
  readonly #entries: Entries;
  #next = Number.POSITIVE_INFINITY;

  /** Of entries that are removed the last one must take the position. */
  constructor(entries: Entries = []) {
    this.#entries = entries;
  }

  get left(): number {
    return Math.min(this.#next, this.#entries.length);
  }

  next(): Entry | undefined {
    if (this.left === 0) return undefined;
    this.#next = this.left - 1;
    return this.#entries[this.#next];
  }
}
