// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Deadline until which a leader may believe that it leads.
// Invariant: once expired it stays expired, also when the clock is set back.

import type { Clock } from "../lib/clock.ts";

/**
 * Until when a write that succeeded is a right to lead: over as soon as its timer rings OR the clock says so. The timer
 * sees through a clock that was set back; the clock sees through a process that was stalled and is late for its timers.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #untilMs: number;
  readonly #cancel: () => void;
  #hasRung = false;

  constructor(clock: Clock, ms: number, onRing: () => void) {
    this.#clock = clock;
    this.#untilMs = clock.nowMs() + ms;
    this.#cancel = clock.after(ms, () => {
      this.#hasRung = true;
      onRing();
    });
  }

  get isOver(): boolean {
    return this.#hasRung || this.leftMs <= 0;
  }

  /** By the clock; 0 or less when it is over. */
  get leftMs(): number {
    return this.#untilMs - this.#clock.nowMs();
  }

  cancel(): void {
    this.#cancel();
  }
}
