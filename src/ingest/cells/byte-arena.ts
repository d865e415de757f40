// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Memory for bytes outside the heap, where the garbage collector does not look at them.
// Invariant: a span is one caller's from allocate to release; a released span is used again for one of its size.

import type { Pieces } from "../../api/alert.ts";

/** Memory is reserved in pieces of this size; a place is the number of the piece and the offset in it. */
const CHUNK_BITS = 20;
const CHUNK_BYTES = 1 << CHUNK_BITS;
const OFFSET_MASK = CHUNK_BYTES - 1;
/** Sizes of spans are multiples of this. */
const UNIT_BITS = 5;

export class ByteArena {
  /** In use, as rounded up. */
  bytesUsed = 0;
  readonly #chunks: Buffer[] = [];
  readonly #views: DataView[] = [];
  /** Over the memory that holds the message seen last. */
  #message: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0));
  /** Free places by size in units. */
  readonly #free: (number[] | undefined)[] = [];
  /** Behind the last span of the last chunk. */
  #end = CHUNK_BYTES;

  /** The longest span, in bytes. */
  static readonly MAX_LENGTH = 16_384;

  /** Returns the place of a new span of at least `length` bytes. */
  allocate(length: number): number {
    const units = toUnits(length);
    const size = units << UNIT_BITS;
    this.bytesUsed += size;
    const place = this.#free[units]?.pop();
    if (place !== undefined) return place;
    if (this.#end + size > CHUNK_BYTES) this.#grow();
    this.#end += size;
    return (this.#chunks.length - 1) * CHUNK_BYTES + this.#end - size;
  }

  release(place: number, length: number): void {
    const units = toUnits(length);
    this.bytesUsed -= units << UNIT_BITS;
    this.#free[units] ??= [];
    this.#free[units].push(place);
  }

  /** Returns the first `length` bytes of a span; not a copy. */
  bytes(place: number, length: number): Uint8Array {
    const at = place & OFFSET_MASK;
    return this.#findChunk(place).subarray(at, at + length);
  }

  /** Returns a view in which the span begins at `offset`. */
  view(place: number): DataView {
    return this.#views[place >>> CHUNK_BITS]!;
  }

  static offset(place: number): number {
    return place & OFFSET_MASK;
  }

  /** Writes a text as UTF-8, from the span's byte `from` on. */
  writeText(place: number, from: number, text: string): void {
    this.#findChunk(place).write(text, (place & OFFSET_MASK) + from, "utf8");
  }

  /** Reads `length` bytes of text, from the span's byte `from` on. */
  readText(place: number, from: number, length: number): string {
    const at = (place & OFFSET_MASK) + from;
    return this.#findChunk(place).toString("utf8", at, at + length);
  }

  write(place: number, bytes: Uint8Array, { places, length }: Pieces): void {
    const chunk = this.#findChunk(place);
    let at = place & OFFSET_MASK;
    for (let piece = 0; piece < length; piece += 2) {
      const end = places[piece + 1]!;
      for (let i = places[piece]!; i < end; i++) chunk[at++] = bytes[i]!;
    }
  }

  /** Returns true where pieces of a message, one after the other, are what the span holds in `length` bytes. */
  holds(place: number, length: number, bytes: Uint8Array, pieces: Pieces): boolean {
    if (getLength(pieces) !== length) return false;
    if (this.#message.buffer !== bytes.buffer) this.#message = new DataView(bytes.buffer);
    const { places } = pieces;
    const message = this.#message;
    const base = bytes.byteOffset;
    const view = this.#views[place >>> CHUNK_BITS]!;
    let at = place & OFFSET_MASK;
    for (let piece = 0; piece < pieces.length; piece += 2) {
      let i = base + places[piece]!;
      const end = base + places[piece + 1]!;
      for (; i + 4 <= end; i += 4, at += 4) if (message.getInt32(i, true) !== view.getInt32(at, true)) return false;
      for (; i < end; i++, at++) if (message.getUint8(i) !== view.getUint8(at)) return false;
    }
    return true;
  }

  #findChunk(place: number): Buffer {
    return this.#chunks[place >>> CHUNK_BITS]!;
  }

  #grow(): void {
    const bytes = new ArrayBuffer(CHUNK_BYTES);
    this.#chunks.push(Buffer.from(bytes));
    this.#views.push(new DataView(bytes));
    this.#end = 0;
  }
}

export function getLength({ places, length }: Pieces): number {
  let sum = 0;
  for (let piece = 0; piece < length; piece += 2) sum += places[piece + 1]! - places[piece]!;
  return sum;
}

function toUnits(length: number): number {
  return Math.max(1, (length + (1 << UNIT_BITS) - 1) >>> UNIT_BITS);
}
