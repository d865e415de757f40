// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time before which everything that this process counted is in the stored reports; a leader publishes it to its
// successor. Invariant: never too late. Time is that of the arrival of alerts, and monotonic.

import type { Ledger } from "../aggregate/ledger/ledger.ts";

/** Unknown: earlier than anything. */
export const UNKNOWN_MS = Number.NEGATIVE_INFINITY;

export class PersistedUntil {
  /** Time since when a report has something to write, at least; by report. */
  #since = new Map<string, number>();
  /** Time of the last look; pending counts that are not in `since` came after it. */
  #lookedMs = UNKNOWN_MS;

  /**
   * Starts from stored reports that have everything from before `ms`, from any replica; UNKNOWN_MS where that is not
   * known.
   */
  begin(ms: number): void {
    this.#since.clear();
    this.#lookedMs = ms;
  }

  /** Notes a write that left out no count from before `takenMs`. */
  markPersisted(key: string, takenMs: number): void {
    this.#since.set(key, Math.max(takenMs, this.#since.get(key) ?? this.#lookedMs));
  }

  /** Looks at every ledger: costs little enough for every few seconds. */
  look(ledgers: ReadonlyMap<string, Ledger>, nowMs: number): number {
    const since = new Map<string, number>();
    let oldestMs = nowMs;
    for (const [key, ledger] of ledgers) {
      if (!ledger.write.isNeeded && !ledger.write.isInFlight) continue;
      const ms = this.#since.get(key) ?? this.#lookedMs;
      since.set(key, ms);
      oldestMs = Math.min(oldestMs, ms);
    }
    this.#since = since;
    this.#lookedMs = nowMs;
    return oldestMs;
  }
}
