// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Divides long work on the main thread, so that alerts are read in between.

import type { Clock } from "../clock.ts";

export class Slices {
  readonly #clock: Pick<Clock, "turn">;
  readonly #max: number;
  #left: number;

  /** `max` is the number of entries visited in one step. */
  constructor(clock: Pick<Clock, "turn">, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#left = max;
  }

  /** Notes visited entries; waits for a turn of the event loop where the step is full. */
  async spend(entries: number): Promise<void> {
    this.#left -= entries;
    if (this.#left > 0) return;
    this.#left = this.#max;
    await this.#clock.turn();
  }
}
