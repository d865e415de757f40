// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Recognizes exact duplicates: a relay that is connected to a node twice delivers each alert twice.
// Invariant: memory is bounded by maxEntries alerts; at the bound the older half is forgotten. Two alerts are duplicates
// only where their times are equal to the microsecond and the keyed 64-bit hashes of all of their content are equal.

import type { EpochUs } from "../lib/time.ts";
import type { Hash64 } from "./cells/alert-hash.ts";

export interface DuplicateWindow {
  /** Least time for which an alert is remembered, in milliseconds, unless maxEntries evicts it sooner. */
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

  /** Returns true for an alert that is remembered; otherwise remembers it, no longer where it is repeated. */
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
/** A slot is 16 bytes in one line of the processor's cache: the time, then both halves of the hash. */
const SLOT_DOUBLES = 2;
const SLOT_INTEGERS = 4;
const LOW = 2;
const HIGH = 3;

/** A hash table without an object per entry: remembering an alert makes no garbage. */
class Generation {
  size = 0;
  #slots = FIRST_SLOTS;
  /** 0 where the slot is free: no alert has that time. */
  #times = new Float64Array(SLOT_DOUBLES * FIRST_SLOTS);
  /** The same memory. */
  #hashes = new Int32Array(this.#times.buffer);

  has({ low, high }: Hash64, timeUs: EpochUs): boolean {
    return this.#times[SLOT_DOUBLES * this.#findSlot(low, high, timeUs)] !== 0;
  }

  /** Returns false when it is there already. */
  add({ low, high }: Hash64, timeUs: EpochUs): boolean {
    const slot = this.#findSlot(low, high, timeUs);
    if (this.#times[SLOT_DOUBLES * slot] !== 0) return false;
    this.#fill(slot, low, high, timeUs);
    if (++this.size * 2 > this.#slots) this.#grow();
    return true;
  }

  clear(): void {
    this.#times.fill(0);
    this.size = 0;
  }

  /** Returns the slot that holds the alert, or the free one that would. */
  #findSlot(low: number, high: number, timeUs: EpochUs): number {
    const [times, hashes] = [this.#times, this.#hashes];
    const mask = this.#slots - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const time = times[SLOT_DOUBLES * slot];
      const at = SLOT_INTEGERS * slot;
      if (time === 0) return slot;
      if (time === timeUs && hashes[at + LOW] === low && hashes[at + HIGH] === high) return slot;
    }
  }

  #fill(slot: number, low: number, high: number, timeUs: EpochUs): void {
    this.#times[SLOT_DOUBLES * slot] = timeUs;
    this.#hashes[SLOT_INTEGERS * slot + LOW] = low;
    this.#hashes[SLOT_INTEGERS * slot + HIGH] = high;
  }

  #grow(): void {
    const [slots, times, hashes] = [this.#slots, this.#times, this.#hashes];
    this.#slots = 2 * slots;
    this.#times = new Float64Array(SLOT_DOUBLES * this.#slots);
    this.#hashes = new Int32Array(this.#times.buffer);
    for (let slot = 0; slot < slots; slot++) {
      const timeUs = times[SLOT_DOUBLES * slot]!;
      if (timeUs === 0) continue;
      const low = hashes[SLOT_INTEGERS * slot + LOW]!;
      const high = hashes[SLOT_INTEGERS * slot + HIGH]!;
      this.#fill(this.#findSlot(low, high, timeUs), low, high, timeUs);
    }
  }
}
