// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Sequence bookkeeping of the owner of one partition: which message of each reader comes next, and how many occurrences
// are missing where one does not come.
// Invariant: pure and deterministic. The same messages after the same snapshot give the same answers.

import type { SourceState } from "./checkpoint.ts";

/** A message as the bookkeeping sees it. */
export interface SourceMessage extends SourceState {
  source: string;
  occurrences: number;
}

export type Arrival =
  | { kind: "next" }
  /** Counted before: a reader sent it again. */
  | { kind: "duplicate" }
  /** Messages before it are missing, with `occurrences` counted since `fromUs`; undefined where that is unknown. */
  | { kind: "after_gap"; occurrences: number | undefined; fromUs: number | undefined };

/** A source without a message for this long is forgotten: 24 hours. */
const FORGET_MS = 24 * 3_600_000;
/** Sources that are remembered; the oldest are forgotten first. */
const MAX_SOURCES = 1000;

export class SequenceTracker {
  readonly #sources: Map<string, SourceState>;

  constructor(snapshot: Readonly<Record<string, SourceState>> = {}) {
    this.#sources = new Map(Object.entries(snapshot));
  }

  /** Notes a message; the caller adds its counts unless it is a duplicate. */
  accept(message: SourceMessage): Arrival {
    const { source, seq, cumulative, occurrences, atMs, untilUs } = message;
    const known = this.#sources.get(source);
    if (known && seq <= known.seq) return { kind: "duplicate" };
    // In the order of their last message.
    this.#sources.delete(source);
    this.#sources.set(source, { seq, cumulative, atMs, untilUs });
    this.#forgetOld(atMs);
    if (seq === (known?.seq ?? 0) + 1) return { kind: "next" };
    const missing = known && Math.max(0, cumulative - occurrences - known.cumulative);
    return { kind: "after_gap", occurrences: missing, fromUs: known?.untilUs };
  }

  /** Copy that a later owner continues from. */
  snapshot(): Record<string, SourceState> {
    return Object.fromEntries([...this.#sources].map(([source, state]) => [source, { ...state }]));
  }

  #forgetOld(nowMs: number): void {
    for (const [source, { atMs }] of this.#sources) {
      if (atMs > nowMs - FORGET_MS && this.#sources.size <= MAX_SOURCES) return;
      this.#sources.delete(source);
    }
  }
}
