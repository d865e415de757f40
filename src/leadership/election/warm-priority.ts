// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Priority of a standby that could take over without a gap: a replica that could not leaves a free Lease to it for a
// while. Invariant: it ends by itself, and never lets a Lease be taken that is not free.

import type { Clock } from "../../lib/clock.ts";

export interface WarmPriorityOptions {
  leaseDurationMs: number;
  renewDeadlineMs: number;
  /** Time between two tries; before leading up to 2.2 times it. */
  retryPeriodMs: number;
}

/** Tries left to the others after a release: each reads the Lease at least once in two tries of this replica. */
const COLD_TRIES = 3;
/** client-go's factor: a replica waits 1 to 2.2 retry periods, so that replicas don't ask at the same time. */
export const JITTER_FACTOR = 1.2;
/** A longer timer would fire at once; 24 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export class WarmPriority {
  readonly #clock: Clock;
  readonly #watchMs: number;
  /** Tries in a row in which the Lease was free. */
  #tries = 0;
  /** True when the Lease was unchanged or unreadable for so long that any other replica would have taken it. */
  #isLongWatched = false;
  #cancelWatch: (() => void) | undefined;

  constructor({ leaseDurationMs, renewDeadlineMs, retryPeriodMs }: WarmPriorityOptions, clock: Clock) {
    this.#clock = clock;
    // A request that hangs, the pause after it, the Lease's duration, and the pause until the next look.
    const ms = renewDeadlineMs / 2 + leaseDurationMs + 2 * (1 + JITTER_FACTOR) * retryPeriodMs;
    this.#watchMs = Math.min(MAX_TIMER_MS, ms);
  }

  /** Another replica holds the Lease. */
  onHeld(): void {
    this.#tries = 0;
  }

  /**
   * Returns true where the others had time to take the free Lease and did not. After an outage of the API server
   * another replica may see the holder's last renewal only now, and reads the Lease that much later; a failed read
   * restarts the time.
   */
  isOver(isReleased: boolean): boolean {
    return isReleased ? this.#tries++ >= COLD_TRIES : this.#isLongWatched;
  }

  /** Starts to watch another's Lease, unless it is watched already. */
  watch(): void {
    this.#cancelWatch ??= this.#clock.after(this.#watchMs, () => {
      this.#isLongWatched = true;
    });
  }

  /** The Lease has changed, or can't be read. */
  endWatch(): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    this.#isLongWatched = false;
  }
}
