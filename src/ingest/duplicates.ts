// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Recognizes exact duplicates: a relay that is connected to a node twice delivers each alert twice.
// Invariant: memory is bounded by maxEntries alerts; at the bound the older half is forgotten. Two alerts are duplicates
// only where their times are equal to the microsecond and the keyed 64-bit hashes of all of their content are equal.

import type { EpochUs } from "../lib/time.ts";
import type { Hash64 } from "./cells/alert-hash.ts";

export interface DuplicateWindow {
  /** An alert is remembered at least this long, in milliseconds, unless maxEntries forces it out sooner. */
  windowMs: number;
  /** Alerts remembered at most. */
  maxEntries: number;
}

/** Remembers alerts in two generations, so that forgetting costs nothing per alert. */
export class DuplicateFilter {
  readonly #options: DuplicateWindow;
  #young = new Generation();
  #old = new Generation();
  #turnedMs = 0;

  constructor(options: DuplicateWindow) {
    this.#options = options;
  }

  /** Returns true when an equal alert was received within the window; else remembers this one. */
  isDuplicate(content: Hash64, timeUs: EpochUs, nowMs: number): boolean {
    this.#turn(nowMs);
    return this.#old.has(content, timeUs) || !this.#young.add(content, timeUs);
  }

  #turn(nowMs: number): void {
    const aged = nowMs - this.#turnedMs >= this.#options.windowMs;
    if (!aged && this.#young.size * 2 < this.#options.maxEntries) return;
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = forgotten;
    forgotten.clear();
    this.#turnedMs = nowMs;
  }
}

/** Slots of a new generation: a power of two, as every number of slots. */
const FIRST_SLOTS = 256;

/** A hash table without an object per entry: an alert that is remembered makes no garbage. */
class Generation {
  size = 0;
  #hashes = new Int32Array(2 * FIRST_SLOTS);
  /** 0 where the slot is free: no alert has that time. */
  #times = new Float64Array(FIRST_SLOTS);

  has({ low, high }: Hash64, timeUs: EpochUs): boolean {
    return this.#times[this.#slot(low, high, timeUs)] !== 0;
  }

  /** Returns false when it is there already. */
  add({ low, high }: Hash64, timeUs: EpochUs): boolean {
    const slot = this.#slot(low, high, timeUs);
    if (this.#times[slot] !== 0) return false;
    this.#fill(slot, low, high, timeUs);
    if (++this.size * 2 > this.#times.length) this.#grow();
    return true;
  }

  clear(): void {
    this.#times.fill(0);
    this.size = 0;
  }

  /** Returns the slot that holds the alert, or the free one that would. */
  #slot(low: number, high: number, timeUs: EpochUs): number {
    const mask = this.#times.length - 1;
    let slot = low & mask;
    for (; this.#times[slot] !== 0; slot = (slot + 1) & mask) {
      const isSame =
        this.#hashes[2 * slot] === low && this.#hashes[2 * slot + 1] === high && this.#times[slot] === timeUs;
      if (isSame) return slot;
    }
    return slot;
  }

  #fill(slot: number, low: number, high: number, timeUs: EpochUs): void {
    this.#hashes[2 * slot] = low;
    this.#hashes[2 * slot + 1] = high;
    this.#times[slot] = timeUs;
  }

  #grow(): void {
    const [hashes, times] = [this.#hashes, this.#times];
    this.#hashes = new Int32Array(2 * hashes.length);
    this.#times = new Float64Array(2 * times.length);
    for (const [i, timeUs] of times.entries()) {
      if (timeUs === 0) continue;
      const low = hashes[2 * i]!;
      const high = hashes[2 * i + 1]!;
      this.#fill(this.#slot(low, high, timeUs), low, high, timeUs);
    }
  }
}
