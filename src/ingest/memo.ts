// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Remembers what alerts were taken for, by the bytes that decide it: most alerts tell what one before has told.
// Invariant: a pure cache. What it returns for an alert is what decode would make of it, since the bytes are compared;
// it holds no more than its bounds, and forgets the older half at them.

import type { RawAlert } from "../api/alert.ts";
import type { EpochUs } from "../lib/time.ts";
import type { EvidenceSource } from "./evidence.ts";
import type { Occurrence } from "./occurrence.ts";
import type { Violation } from "./violation.ts";

/** What is known of all alerts with the same deciding bytes. As a occurrence it is one of them after the other. */
export class Known implements Occurrence {
  readonly violation: Violation;
  timeUs: EpochUs = 0;
  countedIn: object | undefined;
  readonly source: EvidenceSource;
  /** Where the deciding bytes are remembered. */
  start = 0;
  end = 0;

  constructor(violation: Violation, source: EvidenceSource) {
    this.violation = violation;
    this.source = source;
  }
}

export interface MemoBounds {
  /** Kinds of alerts remembered at most. */
  maxEntries: number;
  /** Deciding bytes remembered at most. */
  maxBytes: number;
}

/** A hash of the deciding bytes. */
export type HashDeciding = (raw: RawAlert) => number;

/** Remembers in two generations: what is found in the old one goes into the young one, the rest is forgotten with it. */
export class Memo {
  readonly #bounds: MemoBounds;
  readonly #hashOf: HashDeciding;
  #young = new Generation();
  #old = new Generation();
  /** The hash of the alert that was looked for last. */
  #hash = 0;

  constructor(bounds: MemoBounds, hashOf: HashDeciding) {
    this.#bounds = bounds;
    this.#hashOf = hashOf;
  }

  /** Returns what is known of such an alert. */
  find(raw: RawAlert): Known | undefined {
    this.#hash = this.#hashOf(raw);
    const known = this.#young.find(this.#hash, raw);
    if (known !== undefined) return known;
    const old = this.#old.take(this.#hash, raw);
    if (old !== undefined) this.remember(raw, old);
    return old;
  }

  /** Remembers what the alert is, for which `find` has just been asked. */
  remember(raw: RawAlert, known: Known): void {
    const { maxEntries, maxBytes } = this.#bounds;
    const length = decidingBytes(raw);
    if (length * 2 > maxBytes) return;
    if ((this.#young.size + 1) * 2 > maxEntries || (this.#young.bytesUsed + length) * 2 > maxBytes)
      this.#turn();
    this.#young.add(this.#hash, raw, length, known);
  }

  #turn(): void {
    const forgotten = this.#old;
    this.#old = this.#young;
    this.#young = forgotten;
    forgotten.clear();
  }
}

/** What is known, by hash. Of two kinds of alerts with the same hash the later one displaces the other. */
class Generation {
  readonly #byHash = new Map<number, Known>();
  #bytes = new Uint8Array(FIRST_BYTES);
  bytesUsed = 0;

  get size(): number {
    return this.#byHash.size;
  }

  find(hash: number, raw: RawAlert): Known | undefined {
    const known = this.#byHash.get(hash);
    return known !== undefined && this.#isSame(known, raw) ? known : undefined;
  }

  /** Finds it, and has it no longer: it knows only one place for its bytes. */
  take(hash: number, raw: RawAlert): Known | undefined {
    const known = this.find(hash, raw);
    if (known !== undefined) this.#byHash.delete(hash);
    return known;
  }

  add(hash: number, raw: RawAlert, length: number, known: Known): void {
    this.#makeRoom(length);
    known.start = this.bytesUsed;
    for (let piece = 0; piece < raw.decidingLength; piece += 2) {
      const bytes = raw.bytes.subarray(raw.deciding[piece], raw.deciding[piece + 1]);
      this.#bytes.set(bytes, this.bytesUsed);
      this.bytesUsed += bytes.length;
    }
    known.end = this.bytesUsed;
    this.#byHash.set(hash, known);
  }

  clear(): void {
    this.#byHash.clear();
    this.bytesUsed = 0;
  }

  #isSame(known: Known, { bytes, deciding, decidingLength }: RawAlert): boolean {
    const held = this.#bytes;
    let at = known.start;
    for (let piece = 0; piece < decidingLength; piece += 2) {
      const end = deciding[piece + 1]!;
      const start = deciding[piece]!;
      if (at + end - start > known.end) return false;
      for (let i = start; i < end; i++) if (bytes[i] !== held[at++]) return false;
    }
    return at === known.end;
  }

  #makeRoom(length: number): void {
    const needed = this.bytesUsed + length;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }
}

const FIRST_BYTES = 4096;

function decidingBytes({ deciding, decidingLength }: RawAlert): number {
  let length = 0;
  for (let piece = 0; piece < decidingLength; piece += 2) length += deciding[piece + 1]! - deciding[piece]!;
  return length;
}

/** `seed` is any 32-bit number that nobody else knows: whoever knew it could make alerts that displace each other. */
export function seededHash(seed: number): HashDeciding {
  return ({ bytes, deciding, decidingLength }) => {
    let hash = seed;
    for (let piece = 0; piece < decidingLength; piece += 2) {
      let at = deciding[piece]!;
      const end = deciding[piece + 1]!;
      for (; at + 4 <= end; at += 4) {
        const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
        hash = Math.imul(hash ^ word, 0x9e3779b1);
        hash ^= hash >>> 15;
      }
      for (; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x9e3779b1);
    }
    return hash ^ (hash >>> 15);
  };
}
