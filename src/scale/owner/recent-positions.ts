// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Positions of the stream in stored reports, of the reports that were written last.
// Invariant: bounded. A position that was forgotten is read from the report, or its partition is loaded again.

/** As many as reports in memory. */
const MAX_POSITIONS = 20_000;

export class RecentPositions<T> {
  readonly #positions = new Map<string, T>();

  get(key: string): T | undefined {
    return this.#positions.get(key);
  }

  /** Remembers the newest position of a report; at the bound the report written the longest ago is forgotten. */
  set(key: string, position: T): void {
    this.#positions.delete(key);
    this.#positions.set(key, position);
    const [oldest] = this.#positions.keys();
    if (this.#positions.size > MAX_POSITIONS && oldest !== undefined) this.#positions.delete(oldest);
  }
}
