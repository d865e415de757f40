// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Back-off of everything that is tried again: a fixed pause, and full jitter up to a doubling limit on top of it.

import type { Clock } from "../clock.ts";

export interface RetryTimes {
  /** Shortest pause. Default: 500 ms. */
  minMs?: number;
  /** Limit of the first pause's jitter; doubles with each failure. Default: minMs. */
  baseMs?: number;
  /** Limit of the jitter. Default: 15 s. */
  maxMs?: number;
}

export class RetryPolicy {
  readonly #clock: Pick<Clock, "random">;
  readonly #times: Required<RetryTimes>;
  #failures = 0;

  constructor(clock: Pick<Clock, "random">, { minMs = 500, baseMs = minMs, maxMs = 15_000 }: RetryTimes = {}) {
    this.#clock = clock;
    this.#times = { minMs, baseMs, maxMs };
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts a failure; returns the pause before the next try in milliseconds, at least `atLeastMs`. */
  nextMs(atLeastMs = 0): number {
    const { minMs, baseMs, maxMs } = this.#times;
    const limitMs = Math.min(maxMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures++;
    return Math.max(minMs + limitMs * this.#clock.random(), atLeastMs);
  }

  /** A try has succeeded. */
  reset(): void {
    this.#failures = 0;
  }
}
