// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which reports wait to be written, and from when. Only keys live here: a storm of alerts is one key.
// Invariant: a key waits at most once, at the earliest time that any change asked for.

import type { Urgency } from "../aggregate/aggregator.ts";
import { afterWrite, dueMs, newPace, type Pace, type PaceOptions } from "./write-pace.ts";

interface Waiting {
  dueMs: number;
  /** New reports go first when writes are scarce. */
  urgency: Urgency;
  /** After a failure: no change, however urgent, makes the next try come sooner. */
  notBeforeMs: number;
}

const RANK = { new_report: 0, new_violation: 1, counters: 2, coverage: 3 } as const;

export class WorkQueue {
  readonly #options: PaceOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #paces = new Map<string, Pace>();

  constructor(options: PaceOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Notes a change; returns when the report is due. */
  note(key: string, urgency: Urgency, nowMs: number): number {
    const known = this.#waiting.get(key);
    if (known && RANK[known.urgency] <= RANK[urgency]) return known.dueMs;
    const due = dueMs(this.#pace(key), urgency, nowMs, this.#options);
    const notBeforeMs = known?.notBeforeMs ?? Number.NEGATIVE_INFINITY;
    const waiting = {
      dueMs: Math.max(notBeforeMs, Math.min(due, known?.dueMs ?? due)),
      urgency,
      notBeforeMs,
    };
    this.#waiting.set(key, waiting);
    return waiting.dueMs;
  }

  /** Puts a key back until `atMs`, after a write that failed; `fresh` as `next` told it. */
  retry(key: string, atMs: number, fresh: boolean): void {
    const urgency = fresh ? "new_violation" : "counters";
    const noted = this.#waiting.get(key)?.urgency ?? urgency;
    this.#waiting.set(key, {
      dueMs: atMs,
      urgency: RANK[noted] < RANK[urgency] ? noted : urgency,
      notBeforeMs: atMs,
    });
  }

  /** Removes and returns the due key that matters most, leaving out `busy` ones. */
  next(nowMs: number, busy: ReadonlyMap<string, unknown>): { key: string; fresh: boolean } | undefined {
    let best: { key: string; waiting: Waiting } | undefined;
    for (const [key, waiting] of this.#waiting) {
      if (waiting.dueMs > nowMs || busy.has(key)) continue;
      if (!best || before(waiting, best.waiting)) best = { key, waiting };
    }
    if (!best) return undefined;
    this.#waiting.delete(best.key);
    return { key: best.key, fresh: RANK[best.waiting.urgency] < RANK.counters };
  }

  /** When the next key that is not busy is due, or any time up to now when one is; undefined when none waits. */
  nextDueMs(busy: ReadonlyMap<string, unknown>, nowMs: number): number | undefined {
    let earliest: number | undefined;
    for (const [key, { dueMs: due }] of this.#waiting) {
      if (busy.has(key)) continue;
      if (due <= nowMs) return due;
      if (earliest === undefined || due < earliest) earliest = due;
    }
    return earliest;
  }

  /** Tells that a report was written at `nowMs`. */
  written(key: string, fresh: boolean, nowMs: number): void {
    this.#paces.set(key, afterWrite(this.#pace(key), fresh, nowMs, this.#options));
    const waiting = this.#waiting.get(key);
    // What came during the write was noted at the old pace.
    if (waiting?.urgency === "counters")
      waiting.dueMs = dueMs(this.#pace(key), "counters", nowMs, this.#options);
  }

  forget(key: string): void {
    this.#waiting.delete(key);
    this.#paces.delete(key);
  }

  #pace(key: string): Pace {
    return this.#paces.get(key) ?? newPace(this.#options);
  }
}

function before(a: Waiting, b: Waiting): boolean {
  return RANK[a.urgency] - RANK[b.urgency] < 0 || (a.urgency === b.urgency && a.dueMs < b.dueMs);
}
