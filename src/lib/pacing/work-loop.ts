// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Processes a queue: a few keys at a time, at a limited rate.

import type { Clock } from "../clock.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { WorkQueue } from "./work-queue.ts";

export interface WorkLoopOptions {
  queue: WorkQueue;
  clock: Pick<Clock, "monotonicMs" | "after">;
  /** Keys begun per second, and the burst of them after a quiet time. */
  perSecond: number;
  burst: number;
  concurrency: number;
  /** Processes one key; must not reject. */
  process: (key: string, rank: number) => Promise<void>;
}

export class WorkLoop {
  readonly #options: WorkLoopOptions;
  readonly #bucket: TokenBucket;
  readonly #open = new Set<Promise<void>>();
  #isActive = false;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(options: WorkLoopOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.perSecond, options.burst);
    options.queue.onAdd = () => this.#wake();
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  start(): void {
    this.#isActive = true;
    this.#pump();
  }

  /** Starts no more items, and waits for those being processed. */
  async stop(): Promise<void> {
    this.#isActive = false;
    this.#disarm();
    await Promise.all(this.#open);
  }

  /** Charges more than a key for one that is being processed: that much later the next one begins. -1: it costs nothing. */
  spend(keys: number): void {
    this.#bucket.spend(keys);
  }

  /** Begins nothing for `ms`; a shorter pause does not end a longer one. */
  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#options.clock.monotonicMs() + ms);
    if (this.#isActive) this.#arm();
  }

  /** Called for every add: cheap where nothing is due sooner than before. */
  #wake(): void {
    if (!this.#isActive || this.#open.size >= this.#options.concurrency) return;
    if (this.#findNextMs() < this.#timerMs) this.#arm();
  }

  /** Returns the time at which the next key can begin; infinite when none waits. */
  #findNextMs(): number {
    const { queue, clock } = this.#options;
    const waitMs = queue.waitMs();
    if (waitMs === undefined) return Number.POSITIVE_INFINITY;
    const nowMs = clock.monotonicMs();
    return Math.max(nowMs + Math.max(waitMs, this.#bucket.waitMs(nowMs)), this.#pausedUntilMs);
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    this.#disarm();
    const { clock, concurrency } = this.#options;
    if (!this.#isActive || this.#open.size >= concurrency) return;
    const nextMs = this.#findNextMs();
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timerMs = nextMs;
    this.#cancelTimer = clock.after(Math.max(0, nextMs - clock.monotonicMs()), () => this.#pump());
  }

  #pump(): void {
    const { queue, clock, concurrency } = this.#options;
    while (this.#isActive && this.#open.size < concurrency && this.#findNextMs() <= clock.monotonicMs()) {
      const next = queue.get();
      if (!next) break;
      this.#bucket.take(clock.monotonicMs());
      this.#begin(next.key, next.rank);
    }
    this.#arm();
  }

  #begin(key: string, rank: number): void {
    const work = this.#options.process(key, rank).finally(() => {
      this.#open.delete(work);
      this.#options.queue.done(key);
      if (this.#isActive) this.#pump();
    });
    this.#open.add(work);
  }
}
