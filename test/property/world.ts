// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time and chance that several simulated processes share.

import { START_MS } from "../support/gen.ts";
import { createRandom } from "../support/random.ts";

interface Timer {
  atMs: number;
  order: number;
  run: () => void;
}

/** Time and chance of one run. */
export class World {
  nowMs = START_MS;
  readonly #timers = new Set<Timer>();
  #order = 0;
  readonly random: () => number;

  constructor(seed: number) {
    this.random = createRandom(seed);
  }

  pickBelow(n: number): number {
    return Math.floor(this.random() * n);
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await settle();
    for (let next = this.#takeNext(endMs); next; next = this.#takeNext(endMs)) {
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
      await settle();
    }
    this.nowMs = endMs;
  }

  #takeNext(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > endMs) continue;
      const isSooner = !next || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order);
      if (isSooner) next = timer;
    }
    return next;
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 8; i++) await new Promise((resolve) => setImmediate(resolve));
}
