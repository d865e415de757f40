// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Back-off of everything that is tried again: a fixed pause, and full jitter up to a doubling limit on top of it.

import { type Clock, fullJitter } from "./clock.ts";

/** Default of the shortest pause, and the limit of the first one's jitter. Milliseconds. */
const BASE_MS = 500;
/** Limit of the jitter. Milliseconds. */
const MAX_MS = 15_000;

export class RetryPolicy {
  readonly #clock: Pick<Clock, "random">;
  readonly #baseMs: number;
  #failures = 0;

  constructor(clock: Pick<Clock, "random">, baseMs = BASE_MS) {
    this.#clock = clock;
    this.#baseMs = baseMs;
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure; returns the pause before the next try in milliseconds, at least `atLeastMs`. */
  nextMs(atLeastMs = 0): number {
    const jitterMs = fullJitter(this.#failures, this.#baseMs, MAX_MS, this.#clock.random());
    this.#failures++;
    return Math.max(this.#baseMs + jitterMs, atLeastMs);
  }

  /** A try has succeeded. */
  reset(): void {
    this.#failures = 0;
  }
}
