// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers of sets of counts. A number names one set over all reports and over all lives of a journal.
// Invariant: a number is drawn once. A process that continues a journal draws only from a block that the journal has
// reserved for it, so that a write of an earlier process that arrives late never bears the number of a new set.

/** Numbers reserved for one process: at 20 sets a second they last for more than a year. */
const BLOCK = 1e9;
/** Blocks skipped at random where the reservation can't be stored. A mark holds numbers of up to 15 digits. */
const MAX_SKIPPED_BLOCKS = 1e5;

export class SetNumbers {
  #last: number;

  /** `last` is the largest number that an earlier process may have drawn. */
  constructor(last = 0) {
    this.#last = last;
  }

  next(): number {
    return ++this.#last;
  }

  /** Returns the number under which a set is written, which was drawn as `seq`. */
  close(seq: number): number {
    return seq;
  }

  /** Draws no number up to `seq` from now on. */
  skip(seq: number): void {
    this.#last = Math.max(this.#last, seq);
  }

  /** The number up to which a journal reserves: an earlier process may have drawn any of them. */
  get reserved(): number {
    return this.#last + BLOCK;
  }

  /** Jumps to a block that hardly any other process uses; for a process that can't store what it reserves. */
  skipRandomBlocks(random: number): void {
    this.#last += BLOCK * (1 + Math.floor(random * MAX_SKIPPED_BLOCKS));
  }
}
