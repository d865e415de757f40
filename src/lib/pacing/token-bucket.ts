// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A budget per second with a burst; time is an argument.

export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #atMs = Number.NEGATIVE_INFINITY;

  /** Starts full. */
  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Takes tokens that were used, more than there are if need be: those that follow wait for them. Negative: puts back. */
  spend(tokens: number): void {
    this.#tokens -= tokens;
  }

  /** Milliseconds until a token is there; 0 when there is one. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1000);
  }

  #refill(nowMs: number): void {
    if (nowMs > this.#atMs) {
      const earned = ((nowMs - this.#atMs) / 1000) * this.#perSecond;
      this.#tokens = Math.min(this.#burst, this.#tokens + earned);
      this.#atMs = nowMs;
    }
  }
}
