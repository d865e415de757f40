// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What alerts say of their container (image, labels, ids), in memory once for all alerts of the container.
// Invariant: held as long as a record refers to it.

import type { RawAlert } from "../api/alert.ts";
import { type ByteArena, lengthOf } from "./byte-arena.ts";

interface Container {
  readonly key: string;
  readonly place: number;
  readonly length: number;
  references: number;
}

/** Numbers are reused; the text is the key of the map. */
export class ContainerPool {
  readonly #arena: ByteArena;
  readonly #byKey = new Map<string, number>();
  readonly #containers: (Container | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(arena: ByteArena) {
    this.#arena = arena;
  }

  /** Returns the number of the container of an alert, with a new reference to it; `hint` is what it may be. */
  acquire(raw: RawAlert, hint: number): number {
    const hinted = this.#containers[hint];
    if (hinted && this.#arena.holds(hinted.place, hinted.length, raw.bytes, raw.container)) {
      hinted.references++;
      return hint;
    }
    const key = containerText(raw);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      (this.#containers[known] as Container).references++;
      return known;
    }
    const length = lengthOf(raw.container);
    const place = this.#arena.allocate(length);
    this.#arena.write(place, raw.bytes, raw.container);
    const number = this.#free.pop() ?? this.#containers.length;
    this.#containers[number] = { key, place, length, references: 1 };
    this.#byKey.set(key, number);
    return number;
  }

  release(number: number): void {
    const container = this.#containers[number] as Container;
    if (--container.references > 0) return;
    this.#arena.release(container.place, container.length);
    this.#byKey.delete(container.key);
    this.#containers[number] = undefined;
    this.#free.push(number);
  }

  holds(number: number, raw: RawAlert): boolean {
    const { place, length } = this.#containers[number] as Container;
    return this.#arena.holds(place, length, raw.bytes, raw.container);
  }

  bytes(number: number): Uint8Array {
    const { place, length } = this.#containers[number] as Container;
    return this.#arena.bytes(place, length);
  }
}

function containerText({ bytes, container: { places, length } }: RawAlert): string {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < length; i += 2) parts.push(bytes.subarray(places[i], places[i + 1]));
  return Buffer.concat(parts).toString("latin1");
}
