// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Keyed 64-bit hashes of an alert: of the bytes that decide its violation, pod and node, and of the whole message.
// Invariant: pieces are hashed with their lengths, so that bytes never move from one piece into the next unseen. The
// function is HalfSipHash-1-3 (Aumasson and Bernstein, https://github.com/veorq/SipHash) with a key of 64 bits: a
// sender that does not know the key cannot choose alerts with equal hashes.

import type { Alert, Pieces, RawAlert } from "../../api/alert.ts";

/** Two 32-bit numbers; both signed. */
export interface Hash64 {
  low: number;
  high: number;
}

export class AlertHash {
  /** The deciding bytes of the raw alert hashed last. */
  readonly kind: Hash64 = { low: 0, high: 0 };
  /** The whole alert hashed last, every byte or, of a decoded one, every field. */
  readonly content: Hash64 = { low: 0, high: 0 };
  readonly #key: Hash64;
  readonly #state = new Int32Array(4);
  /** Over the memory that holds the bytes; they begin at `#base` in it. */
  #view: DataView<ArrayBufferLike> = new DataView(new ArrayBuffer(0));
  #base = 0;

  /** `key` is random and secret. */
  constructor(key: Hash64) {
    this.#key = key;
  }

  /** Sets `kind` and `content`. */
  hashRaw({ bytes, subject, deciding }: RawAlert): void {
    this.#start(bytes);
    this.#absorbPieces(bytes, subject);
    this.#absorbPieces(bytes, deciding);
    finish(this.#state, this.kind);
    this.#absorbRest(bytes, subject, deciding);
    finish(this.#state, this.content);
  }

  /** Sets `content`. */
  hashDecoded(alert: Alert): void {
    const bytes = Buffer.from(JSON.stringify(alert), "utf8");
    this.#start(bytes);
    this.#absorb(bytes, 0, bytes.length);
    finish(this.#state, this.content);
  }

  #absorbPieces(bytes: Uint8Array, { places, length }: Pieces): void {
    for (let i = 0; i < length; i += 2) this.#absorb(bytes, places[i]!, places[i + 1]!);
    this.#absorb(bytes, 0, 0);
  }

  /** Absorbs what is in neither of two groups of pieces. */
  #absorbRest(bytes: Uint8Array, a: Pieces, b: Pieces): void {
    let from = 0;
    for (let i = 0, k = 0; i < a.length || k < b.length; ) {
      const isA = k >= b.length || (i < a.length && a.places[i]! < b.places[k]!);
      const { places } = isA ? a : b;
      const at = isA ? i : k;
      if (from < places[at]!) this.#absorb(bytes, from, places[at]!);
      from = places[at + 1]!;
      if (isA) i += 2;
      else k += 2;
    }
    this.#absorb(bytes, from, bytes.length);
  }

  #start(bytes: Uint8Array): void {
    const { low, high } = this.#key;
    this.#state[0] = low;
    this.#state[1] = high ^ 0xee;
    this.#state[2] = 0x6c796765 ^ low;
    this.#state[3] = 0x74656462 ^ high;
    if (this.#view.buffer !== bytes.buffer) this.#view = new DataView(bytes.buffer);
    this.#base = bytes.byteOffset;
  }

  /** Absorbs a piece: its length, then its bytes in words of four, the last one filled up with zeros. */
  #absorb(bytes: Uint8Array, start: number, end: number): void {
    const state = this.#state;
    const view = this.#view;
    const base = this.#base;
    let v0 = state[0]!;
    let v1 = state[1]!;
    let v2 = state[2]!;
    let v3 = state[3]!;
    let word = end - start;
    let at = start;
    for (;;) {
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      if (at + 4 <= end) {
        word = view.getInt32(base + at, true);
        at += 4;
      } else if (at < end) {
        word = 0;
        for (let shift = 0; at < end; shift += 8) word |= bytes[at++]! << shift;
      } else break;
    }
    state[0] = v0;
    state[1] = v1;
    state[2] = v2;
    state[3] = v3;
  }
}

/** Writes the hash of what was absorbed so far into `out`; more can be absorbed after it. */
function finish(state: Int32Array, out: Hash64): void {
  let v0 = state[0]!;
  let v1 = state[1]!;
  let v2 = state[2]! ^ 0xee;
  let v3 = state[3]!;
  for (let round = 0; round < 6; round++) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    if (round === 2) {
      out.low = v1 ^ v3;
      v1 ^= 0xdd;
    }
  }
  out.high = v1 ^ v3;
}
