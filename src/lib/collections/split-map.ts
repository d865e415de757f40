// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Map by texts that grows in parts, where a Map of many rehashes all of them at once: a part that is full is divided.
// Invariant: a key is in the part that its hash selects. The order of members is undefined.

/** Members of a part, unless their hashes are all equal. */
export const MAX_IN_PART = 4096;
const BRANCH_BITS = 4;
const HASH_BITS = 32;

export class SplitMap<V> {
  #members = new Map<string, V>();
  /** By the bits of the hash from `#shift` on; undefined where this part is not divided. */
  #parts: SplitMap<V>[] | undefined;
  readonly #shift: number;

  constructor(shift = HASH_BITS - BRANCH_BITS) {
    this.#shift = shift;
  }

  get(key: string): V | undefined {
    return this.#find(key).#members.get(key);
  }

  set(key: string, value: V): void {
    const part = this.#find(key);
    part.#members.set(key, value);
    if (part.#members.size > MAX_IN_PART && part.#shift >= 0) part.#divide();
  }

  delete(key: string): void {
    this.#find(key).#members.delete(key);
  }

  *values(): Iterable<V> {
    if (!this.#parts) yield* this.#members.values();
    for (const part of this.#parts ?? []) yield* part.values();
  }

  #find(key: string): SplitMap<V> {
    if (!this.#parts) return this;
    let part: SplitMap<V> = this;
    const hash = hashText(key);
    while (part.#parts) part = part.#parts[(hash >>> part.#shift) & ((1 << BRANCH_BITS) - 1)]!;
    return part;
  }

  #divide(): void {
    const members = this.#members;
    const shift = this.#shift - BRANCH_BITS;
    this.#parts = Array.from({ length: 1 << BRANCH_BITS }, () => new SplitMap<V>(shift));
    this.#members = new Map();
    for (const [key, value] of members) this.set(key, value);
  }
}

/** FNV-1a. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 15);
}
