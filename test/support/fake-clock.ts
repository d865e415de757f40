// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A clock that moves only by command, for tests of pacing and of faults. Its wall time can be stepped without the
// monotonic time, as NTP or a person does.

import type { Clock } from "../../src/lib/clock.ts";
import { createRandom } from "./random.ts";

interface Timer {
  atMs: number;
  order: number;
  fn: () => void;
}

/** Monotonic time at the start. A time of one clock taken for one of the other is wrong by decades. */
const UPTIME_MS = 5_000_000;

export class FakeClock implements Clock {
  /** Monotonic time. */
  #nowMs = UPTIME_MS;
  /** Difference of the wall clock. */
  #offsetMs: number;
  #timers: Timer[] = [];
  #order = 0;
  readonly random: () => number;
  /** Timers ever set. */
  timersSet = 0;

  constructor(startMs = Date.UTC(2026, 10, 23, 10), seed = 1) {
    this.#offsetMs = startMs - UPTIME_MS;
    this.random = createRandom(seed);
  }

  nowMs(): number {
    return this.#nowMs + this.#offsetMs;
  }

  /** Sets the wall clock ahead, or back where negative; timers and monotonic time go on. */
  stepWall(ms: number): void {
    this.#offsetMs += ms;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** Time since the start, whatever the wall clock was set to. */
  get elapsedMs(): number {
    return this.#nowMs - UPTIME_MS;
  }

  after(ms: number, fn: () => void): () => void {
    this.timersSet++;
    const timer = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, fn };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((t) => t !== timer);
    };
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.after(ms, () => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      });
      const onAbort = () => {
        cancel();
        resolve();
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  /** Number of timers that wait. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time on by `ms`, firing every timer in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#timers.filter((t) => t.atMs <= endMs).sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((t) => t !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Lets every promise that can settle without time passing do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}
