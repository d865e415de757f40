// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bytes that many alerts share (of their container, of their subject), in memory once.
// Invariant: held as long as something refers to them.

import type { Pieces } from "../../api/alert.ts";
import { type ByteArena, getLength } from "./byte-arena.ts";

interface Span {
  readonly key: string;
  readonly place: number;
  readonly length: number;
  references: number;
}

/** A span with its slot in the map; measured on Node 24. */
const SPAN_BYTES = 160;

/** Numbers are reused; the text is the key of the map. */
export class SpanPool {
  /** An estimate of the heap that the spans take beside the arena. */
  bytes = 0;
  readonly #arena: ByteArena;
  readonly #byKey = new Map<string, number>();
  readonly #spans: (Span | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(arena: ByteArena) {
    this.#arena = arena;
  }

  /** Returns the number of pieces of a message, with a new reference to it; \`hint\` is what it may be. */
  acquire(bytes: Uint8Array, pieces: Pieces, hint: number): number {
    const hinted = this.#spans[hint];
    if (hinted && this.#arena.holds(hinted.place, hinted.length, bytes, pieces)) {
      hinted.references++;
      return hint;
    }
    const key = toText(bytes, pieces);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      (this.#spans[known] as Span).references++;
      return known;
    }
    const length = getLength(pieces);
    const place = this.#arena.allocate(length);
    this.#arena.write(place, bytes, pieces);
    const number = this.#free.pop() ?? this.#spans.length;
    this.#spans[number] = { key, place, length, references: 1 };
    this.#byKey.set(key, number);
    this.bytes += SPAN_BYTES + key.length;
    return number;
  }

  release(number: number): void {
    const span = this.#spans[number] as Span;
    if (--span.references > 0) return;
    this.#arena.release(span.place, span.length);
    this.#byKey.delete(span.key);
    this.#spans[number] = undefined;
    this.#free.push(number);
    this.bytes -= SPAN_BYTES + span.key.length;
  }

  holds(number: number, bytes: Uint8Array, pieces: Pieces): boolean {
    const { place, length } = this.#spans[number] as Span;
    return this.#arena.holds(place, length, bytes, pieces);
  }

  getBytes(number: number): Uint8Array {
    const { place, length } = this.#spans[number] as Span;
    return this.#arena.bytes(place, length);
  }
}

function toText(bytes: Uint8Array, { places, length }: Pieces): string {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < length; i += 2) parts.push(bytes.subarray(places[i], places[i + 1]));
  return Buffer.concat(parts).toString("latin1");
}
