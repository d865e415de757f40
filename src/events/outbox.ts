// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the queue of Event requests: who is next, how many a second, how many at once.
// Invariant: an item waits at most once and is never sent twice at the same time; nothing here retries.

import type { Clock } from "../lib/clock.ts";
import { TokenBucket } from "../lib/token-bucket.ts";

export interface OutboxOptions {
  /** Bounds all requests together. */
  perSecond: number;
  burst: number;
  /** Requests under way at once. */
  concurrency: number;
}

/** A paced queue in two ranks. */
export class Outbox<T> {
  readonly #first = new Set<T>();
  readonly #second = new Set<T>();
  readonly #bucket: TokenBucket;
  readonly #concurrency: number;
  readonly #clock: Clock;
  readonly #send: (item: T) => Promise<void>;
  #inFlight = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  /** `send` must not reject. */
  constructor(options: OutboxOptions, clock: Clock, send: (item: T) => Promise<void>) {
    this.#bucket = new TokenBucket(options.perSecond, options.burst);
    this.#concurrency = options.concurrency;
    this.#clock = clock;
    this.#send = send;
  }

  /** Items that wait in the first rank. */
  get firstRank(): number {
    return this.#first.size;
  }

  /** Items that wait. */
  get waiting(): number {
    return this.#first.size + this.#second.size;
  }

  /** Items whose request is under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Queues an item; the first rank goes before all of the second. */
  add(item: T, rank: "first" | "second"): void {
    (rank === "first" ? this.#first : this.#second).add(item);
  }

  /** Takes an item out of the queue, if it waits there. */
  remove(item: T): void {
    this.#first.delete(item);
    this.#second.delete(item);
  }

  /** Sends nothing before `untilMs`. */
  pause(untilMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, untilMs);
  }

  /** Sends as much as the budget allows now, and arranges for the rest. */
  pump(): void {
    while (!this.#closed && this.#inFlight < this.#concurrency) {
      const item = next(this.#first) ?? next(this.#second);
      if (item === undefined) return;
      const nowMs = this.#clock.nowMs();
      const waitMs = Math.max(this.#bucket.waitMs(nowMs), this.#pausedUntilMs - nowMs);
      if (waitMs > 0) {
        this.#cancelTimer ??= this.#clock.after(waitMs, () => {
          this.#cancelTimer = undefined;
          this.pump();
        });
        return;
      }
      this.#bucket.take(nowMs);
      this.remove(item);
      this.#inFlight += 1;
      const ended = () => {
        this.#inFlight -= 1;
        this.pump();
      };
      this.#send(item).then(ended, ended);
    }
  }

  /** Sends no more; requests under way end by themselves. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }
}

function next<T>(set: Set<T>): T | undefined {
  return set.values().next().value;
}
