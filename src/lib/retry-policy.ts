// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Back-off of everything that is tried again: half a second at least, then full jitter up to a doubling limit.

import { type Clock, fullJitter } from "./clock.ts";

/** Shortest pause, and the limit of the first one's jitter. Milliseconds. */
const BASE_MS = 500;
/** Limit of the jitter. Milliseconds. */
const MAX_MS = 15_000;

export class RetryPolicy {
  readonly #clock: Pick<Clock, "random">;
  #failures = 0;

  constructor(clock: Pick<Clock, "random">) {
    this.#clock = clock;
  }

  /** Counts a failure; returns the pause before the next try in milliseconds, at least `atLeastMs`. */
  nextMs(atLeastMs = 0): number {
    const jitterMs = fullJitter(this.#failures, BASE_MS, MAX_MS, this.#clock.random());
    this.#failures++;
    return Math.max(BASE_MS + jitterMs, atLeastMs);
  }

  /** A try has succeeded. */
  reset(): void {
    this.#failures = 0;
  }
}
