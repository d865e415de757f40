// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A clock that moves only by command, for tests of pacing and of faults. Its wall time can be stepped without the
// monotonic time, as NTP or a person does.

import { type Clock, sleepBy, systemClock } from "../../src/lib/clock.ts";
import { createRandom } from "./random.ts";

interface Timer {
  atMs: number;
  fn: () => void;
}

/** Monotonic time at the start. A time of one clock taken for one of the other is wrong by decades. */
const UPTIME_MS = 5_000_000;

export class FakeClock implements Clock {
  /** Monotonic time. */
  #nowMs = UPTIME_MS;
  /** Difference of the wall clock. */
  #offsetMs: number;
  readonly #timers = new Set<Timer>();
  /** Turns of the event loop in which promises may settle. */
  readonly #turns: number;
  readonly random: () => number;
  /** Timers ever set. */
  timersSet = 0;

  constructor(startMs = Date.UTC(2026, 10, 23, 10), seed = 1, turns = 20) {
    this.#turns = turns;
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
    const timer = { atMs: this.#nowMs + Math.max(0, ms), fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  turn(): Promise<void> {
    return Promise.resolve();
  }

  /** Number of timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on by `ms`, firing every timer in order and letting promises settle after each. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await this.#settle();
    for (let next = this.#findNext(endMs); next; next = this.#findNext(endMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn();
      await this.#settle();
    }
    this.#nowMs = endMs;
  }

  #findNext(endMs: number): Timer | undefined {
    let next: Timer | undefined;
    // Of timers with one time the first that was set.
    for (const timer of this.#timers)
      if (timer.atMs <= endMs && timer.atMs < (next?.atMs ?? Number.POSITIVE_INFINITY)) next = timer;
    return next;
  }

  /** Lets every promise that can settle without time passing do so. */
  async #settle(): Promise<void> {
    for (let i = 0; i < this.#turns; i++) await systemClock.turn();
  }
}
