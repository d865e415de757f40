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
  /** Counts of other reports that were moved to a report: since when at least they wait, and when they were moved. */
  readonly #moved = new Map<string, { sinceMs: number; atMs: number }>();

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
    // A write that was taken before has nothing of what was moved.
    if (takenMs >= (this.#moved.get(key)?.atMs ?? takenMs)) this.#moved.delete(key);
    this.#since.set(key, Math.max(takenMs, this.#since.get(key) ?? this.#lookedMs));
  }

  /** Handles counts of one report that another one takes over at `nowMs`. */
  move(from: string, to: string, nowMs: number): void {
    const sinceMs = Math.min(this.#findSinceMs(from), this.#moved.get(to)?.sinceMs ?? nowMs);
    this.#moved.set(to, { sinceMs, atMs: nowMs });
    this.#moved.delete(from);
  }

  #findSinceMs(key: string): number {
    const sinceMs = this.#since.get(key) ?? this.#lookedMs;
    return Math.min(sinceMs, this.#moved.get(key)?.sinceMs ?? sinceMs);
  }

  /** Looks at every ledger: costs little enough for every few seconds. */
  look(ledgers: ReadonlyMap<string, Ledger>, nowMs: number): number {
    const since = new Map<string, number>();
    let oldestMs = nowMs;
    for (const [key, ledger] of ledgers) {
      if (!ledger.write.isNeeded && !ledger.write.isInFlight) continue;
      since.set(key, this.#since.get(key) ?? this.#lookedMs);
      oldestMs = Math.min(oldestMs, this.#findSinceMs(key));
    }
    this.#since = since;
    this.#lookedMs = nowMs;
    return oldestMs;
  }
}
