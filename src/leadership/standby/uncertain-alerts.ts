// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts of one report that a standby left to the leader because the report shows a time as new, although the leader may
// have counted them after it wrote the report: those that came no later in time than an earlier one. Invariant: where
// alerts come to both replicas in one order, no alert that is left and not in the report is missing here.

import type { EpochUs } from "../../lib/time.ts";

/** Number of a report's states for which its alerts may still be in flight to this process, or to the leader. */
export const MAX_STATES_BEHIND = 3;

/** Times of the newest alerts by cell, over all reports; beyond the bound an alert counts as uncertain. */
export class NewestTimes {
  readonly #max: number;
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** Sets the time in the map of a report; returns false where it has no room. */
  set(times: Map<string, EpochUs>, key: string, us: EpochUs): boolean {
    if (!times.has(key)) {
      if (this.#size >= this.#max) return false;
      this.#size++;
    }
    times.set(key, us);
    return true;
  }

  clear(times: Map<string, EpochUs>): void {
    this.#size -= times.size;
    times.clear();
  }
}

export class UncertainAlerts {
  /** Part of the report's balance that may be too much. */
  excess = 0;
  readonly #newest: NewestTimes;
  readonly #times = new Map<string, EpochUs>();
  /** Those that were left with each of the report's last states, the newest last. */
  #left: readonly number[] = Array<number>(MAX_STATES_BEHIND).fill(0);

  constructor(newest: NewestTimes) {
    this.#newest = newest;
  }

  /** Upper bound of the alerts that were left and that the leader has not written. */
  get count(): number {
    return this.#left.reduce((sum, left) => sum + left, 0);
  }

  /** Handles an alert that has been read; returns true where one as new of its cell was read before. */
  see(key: string, us: EpochUs): boolean {
    const newestUs = this.#times.get(key) ?? 0;
    if (us <= newestUs) return true;
    return !this.#newest.set(this.#times, key, us);
  }

  /** Counts uncertain alerts that are left. */
  leave(count: number): void {
    if (count > 0) this.#left = this.#left.with(-1, (this.#left.at(-1) ?? 0) + count);
  }

  /** Handles another state of the report: what is left from now on is left with this one. */
  beginState(): void {
    this.#left = [...this.#left.slice(1), 0];
  }

  /** Returns a balance from which all that the leader had before this replica read is unknown, made an upper bound. */
  settle(balance: number): number {
    const settled = Math.max(0, balance);
    const more = Math.max(0, this.count - settled);
    this.excess = Math.min(this.excess, settled) + more;
    return settled + more;
  }

  /** Returns the balance without what is certainly too much in it. */
  reduce(balance: number): number {
    const over = Math.min(this.excess, Math.max(0, balance - this.count));
    this.excess -= over;
    return balance - over;
  }

  /** Forgets times and counts. */
  clear(): void {
    this.excess = 0;
    this.#left = this.#left.map(() => 0);
    this.forgetTimes();
  }

  forgetTimes(): void {
    this.#newest.clear(this.#times);
  }
}
