// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What a cell has counted since its counts were taken, and the newest of these alerts: numbers and bytes outside the
// heap. A record stays after that as long as its alert is evidence.
// Invariant: all alerts of a record are of one hour of UTC.

import type { RawAlert } from "../../api/alert.ts";
import { type EpochUs, isSameHour } from "../../lib/time.ts";
import { type ByteArena, getLength } from "./byte-arena.ts";
import { SpanPool } from "./span-pool.ts";

export interface RecordCounts {
  occurrences: number;
  firstUs: EpochUs;
  lastUs: EpochUs;
}

/** Counts of a record, and what was done with them before they are taken. */
export interface HeldCounts extends RecordCounts {
  /** Time of the evidence in the journal, in whole seconds; 0 for none. */
  journaledSecond: number;
}

/** Records are reserved by the thousand. */
const CHUNK_BITS = 10;
const CHUNK_MASK = (1 << CHUNK_BITS) - 1;
/** One line of the processor's cache. */
const RECORD_BYTES = 64;
/** A record: three doubles, then eight integers in the same memory. */
const DOUBLES = RECORD_BYTES / 8;
const OCCURRENCES = 0;
const FIRST = 1;
const LAST = 2;
const INTEGERS = RECORD_BYTES / 4;
/** Where its alerts are counted, too. */
const SUM = 6;
const CONTAINER = 8;
const PLACE = 9;
/** Bytes of the alert, and bytes that there is room for. */
const LENGTH = 10;
const ROOM = 11;
/** 0 before the first alert. */
const HAS_ALERT = 12;
/** Time of the evidence in the journal, in whole seconds; 0 for none. */
const JOURNALED = 13;

export class CellRecords {
  readonly #arena: ByteArena;
  readonly #containers: SpanPool;
  readonly #doubles: Float64Array[] = [];
  readonly #integers: Int32Array[] = [];
  readonly #free: number[] = [];
  /** There is no record 0. */
  #next = 1;

  constructor(arena: ByteArena) {
    this.#arena = arena;
    this.#containers = new SpanPool(arena);
  }

  /** Bytes of the records beside the arena. */
  get bytes(): number {
    return (this.#next - 1) * RECORD_BYTES + this.#containers.bytes;
  }

  /** Returns a record with no counts; `sum` is where its alerts are counted, too. */
  begin(sum: number): number {
    const record = this.#free.pop() ?? this.#next++;
    if (this.#doubles.length <= record >>> CHUNK_BITS) {
      const doubles = new Float64Array(DOUBLES << CHUNK_BITS);
      this.#doubles.push(doubles);
      this.#integers.push(new Int32Array(doubles.buffer));
    }
    this.#getDoubles(record).fill(0, doublesAt(record), doublesAt(record) + DOUBLES);
    this.#getIntegers(record)[integersAt(record) + SUM] = sum;
    return record;
  }

  /** Returns true where an alert of this time can be counted in the record. */
  isOfHour(record: number, timeUs: EpochUs): boolean {
    const lastUs = this.#getDoubles(record)[doublesAt(record) + LAST]!;
    return isSameHour(lastUs, timeUs);
  }

  /** Counts an alert; returns its place in time: above 0 where it is the newest, 0 where it is as new as the newest. */
  count(record: number, timeUs: EpochUs): number {
    const doubles = this.#getDoubles(record);
    const at = doublesAt(record);
    const lastUs = doubles[at + LAST]!;
    const occurrences = doubles[at + OCCURRENCES]!;
    doubles[at + OCCURRENCES] = occurrences + 1;
    if (occurrences === 0 || timeUs < doubles[at + FIRST]!) doubles[at + FIRST] = timeUs;
    if (occurrences > 0 && timeUs <= lastUs) return timeUs - lastUs;
    doubles[at + LAST] = timeUs;
    return 1;
  }

  getSum(record: number): number {
    return this.#getIntegers(record)[integersAt(record) + SUM]!;
  }

  getCounts(record: number): HeldCounts {
    const doubles = this.#getDoubles(record);
    const at = doublesAt(record);
    return {
      occurrences: doubles[at + OCCURRENCES]!,
      firstUs: doubles[at + FIRST]!,
      lastUs: doubles[at + LAST]!,
      journaledSecond: this.#getIntegers(record)[integersAt(record) + JOURNALED]!,
    };
  }

  setJournaled(record: number, second: number): void {
    this.#getIntegers(record)[integersAt(record) + JOURNALED] = second;
  }

  /** Keeps an alert in the place of the one before; `hint` is what its container may be. Returns its container. */
  setAlert(record: number, raw: RawAlert, hint: number): number {
    const integers = this.#getIntegers(record);
    const at = integersAt(record);
    const length = getLength(raw.own);
    if (length > integers[at + ROOM]!) {
      if (integers[at + ROOM] !== 0) this.#arena.release(integers[at + PLACE]!, integers[at + ROOM]!);
      integers[at + PLACE] = this.#arena.allocate(length);
      integers[at + ROOM] = length;
    }
    integers[at + LENGTH] = length;
    if (length > 0) this.#arena.write(integers[at + PLACE]!, raw.bytes, raw.own);
    const hasAlert = integers[at + HAS_ALERT] !== 0;
    const before = integers[at + CONTAINER]!;
    if (hasAlert && this.#containers.holds(before, raw.bytes, raw.container)) return before;
    const container = this.#containers.acquire(raw.bytes, raw.container, hint);
    if (hasAlert) this.#containers.release(before);
    integers[at + CONTAINER] = container;
    integers[at + HAS_ALERT] = 1;
    return container;
  }

  /** Returns true where the record holds an alert with the same bytes but for the deciding ones. */
  isSameAlert(record: number, raw: RawAlert): boolean {
    const integers = this.#getIntegers(record);
    const at = integersAt(record);
    const length = integers[at + LENGTH]!;
    const isSame =
      length === 0 ? getLength(raw.own) === 0 : this.#arena.holds(integers[at + PLACE]!, length, raw.bytes, raw.own);
    return isSame && this.#containers.holds(integers[at + CONTAINER]!, raw.bytes, raw.container);
  }

  /** Returns the bytes of the alert but for the deciding ones; not copies. */
  getPieces(record: number): Uint8Array[] {
    const integers = this.#getIntegers(record);
    const at = integersAt(record);
    const container = this.#containers.getBytes(integers[at + CONTAINER]!);
    const length = integers[at + LENGTH]!;
    return length === 0 ? [container] : [container, this.#arena.bytes(integers[at + PLACE]!, length)];
  }

  release(record: number): void {
    const integers = this.#getIntegers(record);
    const at = integersAt(record);
    if (integers[at + ROOM] !== 0) this.#arena.release(integers[at + PLACE]!, integers[at + ROOM]!);
    if (integers[at + HAS_ALERT] !== 0) this.#containers.release(integers[at + CONTAINER]!);
    this.#free.push(record);
  }

  #getDoubles(record: number): Float64Array {
    return this.#doubles[record >>> CHUNK_BITS]!;
  }

  #getIntegers(record: number): Int32Array {
    return this.#integers[record >>> CHUNK_BITS]!;
  }
}

function doublesAt(record: number): number {
  return (record & CHUNK_MASK) * DOUBLES;
}

function integersAt(record: number): number {
  return (record & CHUNK_MASK) * INTEGERS;
}
