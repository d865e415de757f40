// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Number of distinct keys. Invariant: never more than there are, and never less than was reported before.

/** Distinct things, exact in one process's life; `floor` is what the stored report already counted. */
export class Distinct {
  readonly seen = new Set<string>();
  floor = 0;
  /** Keys that are distinguished; beyond it the count stays, as a lower bound. */
  static readonly MAX = 10_000;

  add(key: string): boolean {
    if (this.seen.has(key) || this.seen.size >= Distinct.MAX) return false;
    this.seen.add(key);
    return true;
  }

  /** Counts as `to` what was counted as `from`. */
  move(from: string, to: string): void {
    if (!this.seen.delete(from)) return;
    if (this.seen.has(to)) this.floor = Math.max(0, this.floor - 1);
    this.seen.add(to);
  }

  get count(): number {
    return Math.max(this.floor, this.seen.size);
  }

  /** Returns true where the key was added, and always for a full set. */
  mayHave(key: string): boolean {
    return this.seen.has(key) || this.seen.size >= Distinct.MAX;
  }
}
