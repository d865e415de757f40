// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owners of cells, and the cells of each owner as a list.
// Invariant: a cell is in the list of its owner and in no other.

import { assert } from "../../lib/assert.ts";
import { base, type CellNumbers, NEXT_CELL, PREVIOUS_CELL } from "./cell-numbers.ts";
import { type CellFacts, type CellOwner, shareFacts } from "./cell-owner.ts";
import { OUTCOMES } from "./cell-sums.ts";

export class CellOwners {
  readonly #numbers: CellNumbers;
  readonly #owners: (CellOwner | undefined)[] = [];
  readonly #facts: (CellFacts | undefined)[] = [];

  constructor(numbers: CellNumbers) {
    this.#numbers = numbers;
  }

  get(cell: number): CellOwner | undefined {
    return this.#owners[cell];
  }

  /** What the alerts of a cell with an owner say beside their violation. */
  getFacts(cell: number): CellFacts {
    return this.#facts[cell] as CellFacts;
  }

  /** The cell after this one of the same owner; 0 for none. */
  getNext(cell: number): number {
    return this.#numbers.at(cell)[base(cell) + NEXT_CELL]!;
  }

  /** Where alerts of a cell with an owner are counted, too. */
  getSum(cell: number): number {
    const { counter, outcome } = this.#owners[cell] as CellOwner;
    assert(counter, "the owner of a cell counts");
    return counter.sums + OUTCOMES.indexOf(outcome);
  }

  takeCount(cell: number): void {
    const owner = this.#owners[cell];
    owner?.counter?.takeCount(cell, owner);
  }

  set(cell: number, owner: CellOwner, facts: CellFacts): void {
    this.#owners[cell] = owner;
    this.#facts[cell] = shareFacts(facts);
    const { firstCell } = owner;
    this.#numbers.at(cell)[base(cell) + NEXT_CELL] = firstCell;
    if (firstCell !== 0) this.#numbers.at(firstCell)[base(firstCell) + PREVIOUS_CELL] = cell;
    owner.firstCell = cell;
  }

  delete(cell: number): void {
    const owner = this.#owners[cell];
    if (!owner) return;
    const previous = this.#numbers.at(cell)[base(cell) + PREVIOUS_CELL]!;
    const next = this.getNext(cell);
    if (previous === 0) owner.firstCell = next;
    else this.#numbers.at(previous)[base(previous) + NEXT_CELL] = next;
    if (next !== 0) this.#numbers.at(next)[base(next) + PREVIOUS_CELL] = previous;
    this.#owners[cell] = undefined;
    this.#facts[cell] = undefined;
  }
}
