// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of cells that no write has taken yet: totals and the journal read them where they are.
// Invariant: nothing here changes what a cell has counted.

import type { Evidence } from "../../api/v1alpha1.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { CellMessages } from "./cell-messages.ts";
import { base, type CellNumbers, HELD, LENGTH, LISTED, RECORD } from "./cell-numbers.ts";
import type { CellRecords, HeldCounts } from "./cell-records.ts";

export interface CellCountsParts {
  numbers: CellNumbers;
  records: CellRecords;
  messages: CellMessages;
}

export class CellCounts {
  readonly #parts: CellCountsParts;

  constructor(parts: CellCountsParts) {
    this.#parts = parts;
  }

  /** Has the owner of the cell receive it again with its next alert. */
  unlist(cell: number): void {
    this.#parts.numbers.at(cell)[base(cell) + LENGTH]! &= ~LISTED;
  }

  /** Marks the cell as looked at; returns false where it is so already. */
  hold(cell: number): boolean {
    const numbers = this.#parts.numbers.at(cell);
    const isHeld = (numbers[base(cell) + LENGTH]! & HELD) !== 0;
    numbers[base(cell) + LENGTH]! |= HELD;
    return !isHeld;
  }

  /** Returns what the cell has counted since its counts were taken; undefined for nothing. */
  get(cell: number): HeldCounts | undefined {
    const record = this.#findRecord(cell);
    return record === 0 ? undefined : this.#parts.records.getCounts(record);
  }

  /** Notes that all of those counts are in the totals. */
  setFolded(cell: number): void {
    this.#parts.records.setFolded(this.#findRecord(cell));
  }

  /** Reads the newest alert of those counts, and notes that the journal gets it. */
  journalEvidence(cell: number): Evidence {
    const { records, messages } = this.#parts;
    const record = this.#findRecord(cell);
    const lastUs = records.getCounts(record).lastUs;
    records.setJournaled(record, toSecond(lastUs));
    return messages.read(messages.getMessage(cell, record), lastUs);
  }

  #findRecord(cell: number): number {
    return this.#parts.numbers.at(cell)[base(cell) + RECORD]!;
  }
}

export function toSecond(us: EpochUs): number {
  return Math.floor(us / 1_000_000);
}
