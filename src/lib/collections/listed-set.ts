// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Set as a list in which each member knows its position: it grows without a look at its members, where a Set of many
// rehashes all of them at once. Invariant: a member has the field of one such set at a time; of another set with the
// same field it is not a member any more.

type Positioned<K extends string> = { [key in K]: number };

export class ListedSet<K extends string, T extends Positioned<K>> {
  readonly #field: K;
  readonly #list: T[] = [];
  /** Position that is taken next. */
  #hand = 0;

  /** `field` holds the position of a member, and any number of others. */
  constructor(field: K) {
    this.#field = field;
  }

  get size(): number {
    return this.#list.length;
  }

  /** The members; not a copy. */
  get list(): readonly T[] {
    return this.#list;
  }

  has(item: T): boolean {
    return this.#list[item[this.#field]] === item;
  }

  /** Returns false where it is there already. */
  add(item: T): boolean {
    if (this.has(item)) return false;
    (item as Positioned<K>)[this.#field] = this.#list.length;
    this.#list.push(item);
    return true;
  }

  /** Returns false where it is not there. The last member takes the position of the removed one. */
  delete(item: T): boolean {
    if (!this.has(item)) return false;
    const position = item[this.#field];
    const last = this.#list.pop() as T;
    if (last === item) return true;
    (last as Positioned<K>)[this.#field] = position;
    this.#list[position] = last;
    return true;
  }

  /** Removes a member, each in its turn; undefined where there is none. */
  takeNext(): T | undefined {
    if (this.#hand >= this.#list.length) this.#hand = 0;
    const item = this.#list[this.#hand++];
    if (item) this.delete(item);
    return item;
  }
}
