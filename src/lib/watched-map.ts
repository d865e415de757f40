// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A map that tells whether what was found in it before is still in it, without looking it up again.
// Invariant: as long as `removals` is the same, every key that was there is there, with the same value.

export class WatchedMap<K, V> extends Map<K, V> {
  /** How often something was removed or replaced. */
  removals = 0;

  override set(key: K, value: V): this {
    const size = this.size;
    super.set(key, value);
    if (this.size === size) this.removals++;
    return this;
  }

  override delete(key: K): boolean {
    this.removals++;
    return super.delete(key);
  }

  override clear(): void {
    this.removals++;
    super.clear();
  }
}
