// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Before when everything that this process counted stands in the stored reports: what a leader tells its successor.
// Invariant: never too late. Time is that of the arrival of alerts, by this process's clock.

import type { Ledger } from "../aggregate/ledger.ts";

/** Nobody knows: earlier than anything. */
export const UNKNOWN_MS = 0;

export class PersistedUntil {
  /** Of the reports that have something to write, since when at least. */
  #since = new Map<string, number>();
  /** When it was looked last; what is unwritten and not in `since` came after it. */
  #lookedMs = UNKNOWN_MS;

  /** Everything from before `ms` is in the stored reports, whoever counted it; UNKNOWN_MS where that is not known. */
  begin(ms: number): void {
    this.#since.clear();
    this.#lookedMs = ms;
  }

  /** A write has landed that left out no count from before `takenMs`. */
  landed(key: string, takenMs: number): void {
    this.#since.set(key, Math.max(takenMs, this.#since.get(key) ?? this.#lookedMs));
  }

  /** Looks at every ledger: costs little enough for every few seconds. */
  look(ledgers: ReadonlyMap<string, Ledger>, nowMs: number): number {
    const since = new Map<string, number>();
    let oldestMs = nowMs;
    for (const [key, ledger] of ledgers) {
      if (!ledger.dirty && !ledger.isInFlight) continue;
      const ms = this.#since.get(key) ?? this.#lookedMs;
      since.set(key, ms);
      oldestMs = Math.min(oldestMs, ms);
    }
    this.#since = since;
    this.#lookedMs = nowMs;
    return oldestMs;
  }
}
