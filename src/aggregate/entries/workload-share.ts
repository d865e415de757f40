// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The violations of one workload in one report. Invariant: an entry knows its position in the list.

import type { CountingReport, Entry, EntryGroup } from "./entry.ts";
import type { PackedEntries } from "./packed-entries.ts";

export class WorkloadShare implements EntryGroup {
  readonly workload: string;
  readonly report: CountingReport;
  readonly packed: PackedEntries;
  readonly entries: Entry[] = [];
  readonly #weights: number[] = [];
  bytes = 0;
  /** Length of `bytes` in binary digits, as MemoryUsage knows it; 0 where nothing can be evicted. */
  length = 0;
  /** Position among those of this length. */
  place = -1;
  /** True when the last search found too little in it to evict; until something in it changes. */
  isStuck = false;
  /** Position that is visited next. */
  #hand = 0;

  constructor(workload: string, report: CountingReport, packed: PackedEntries) {
    this.workload = workload;
    this.report = report;
    this.packed = packed;
  }

  add(entry: Entry): void {
    entry.group = this;
    entry.position = this.entries.length;
    this.entries.push(entry);
    this.#weights.push(0);
  }

  /** Sets the bytes of an entry; returns by how many there are more. */
  weigh({ position }: Entry, bytes: number): number {
    const more = bytes - this.#weights[position]!;
    this.#weights[position] = bytes;
    return more;
  }

  /** The last entry takes the position of the removed one. Returns the bytes of that. */
  remove(entry: Entry): number {
    const { position } = entry;
    const bytes = this.#weights[position]!;
    const last = this.entries.pop() as Entry;
    const lastBytes = this.#weights.pop()!;
    if (last !== entry) {
      last.position = position;
      this.entries[position] = last;
      this.#weights[position] = lastBytes;
    }
    entry.group = undefined;
    return bytes;
  }

  visit(maxVisits: number, getCost: (entry: Entry) => number): Entry[] {
    const visited: Entry[] = [];
    for (let left = maxVisits; left > 0 && visited.length < this.entries.length; ) {
      if (this.#hand >= this.entries.length) this.#hand = 0;
      const entry = this.entries[this.#hand++]!;
      visited.push(entry);
      left -= getCost(entry);
    }
    return visited;
  }
}
