// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Sums of what the cells of one counter count, by outcome: totals are known without a look at its cells.
// Invariant: all alerts of a sum are of one hour of UTC.

import type { Outcome } from "../../api/v1alpha1.ts";
import { type EpochUs, isSameHour } from "../../lib/time.ts";
import type { RecordCounts } from "./cell-records.ts";

/** In the order of a counter's sums. */
export const OUTCOMES: readonly Outcome[] = ["Prevented", "Allowed", "Unknown"];

/** Numbers of a sum. */
const WIDTH = 4;
const OCCURRENCES = 0;
const FIRST = 1;
const LAST = 2;
const COUNTER_WIDTH = WIDTH * OUTCOMES.length;
/** Counters for which there is room at first. */
const ROOM = 16;

export class CellSums {
  #numbers = new Float64Array(ROOM * COUNTER_WIDTH);
  readonly #free: number[] = [];
  #next = 0;

  get bytes(): number {
    return (this.#next / OUTCOMES.length - this.#free.length) * COUNTER_WIDTH * 8;
  }

  /** Returns the first sum of a counter, which has one for each of OUTCOMES. */
  reserve(): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const first = this.#next;
    this.#next += OUTCOMES.length;
    if (this.#next * WIDTH > this.#numbers.length) {
      const numbers = new Float64Array(this.#numbers.length * 2);
      numbers.set(this.#numbers);
      this.#numbers = numbers;
    }
    return first;
  }

  /** Gives the sums of a counter to others; no cell may count in them any more. */
  release(first: number): void {
    for (const i of OUTCOMES.keys()) this.take(first + i);
    this.#free.push(first);
  }

  /** Counts an alert; false where the sum is of another hour, and must be taken first. */
  count(sum: number, timeUs: EpochUs): boolean {
    const numbers = this.#numbers;
    const at = sum * WIDTH;
    const occurrences = numbers[at + OCCURRENCES]!;
    if (occurrences === 0) numbers[at + FIRST] = numbers[at + LAST] = timeUs;
    else {
      const lastUs = numbers[at + LAST]!;
      if (!isSameHour(lastUs, timeUs)) return false;
      if (timeUs > lastUs) numbers[at + LAST] = timeUs;
      else if (timeUs < numbers[at + FIRST]!) numbers[at + FIRST] = timeUs;
    }
    numbers[at + OCCURRENCES] = occurrences + 1;
    return true;
  }

  /** Gives a sum away; undefined for nothing. */
  take(sum: number): RecordCounts | undefined {
    const at = sum * WIDTH;
    const occurrences = this.#numbers[at + OCCURRENCES]!;
    if (occurrences === 0) return undefined;
    this.#numbers[at + OCCURRENCES] = 0;
    return { occurrences, firstUs: this.#numbers[at + FIRST]!, lastUs: this.#numbers[at + LAST]! };
  }
}
