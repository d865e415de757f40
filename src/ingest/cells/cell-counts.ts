// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of cells that no write has taken yet: the journal reads them where they are.
// Invariant: nothing here changes what a cell has counted.

import type { Evidence } from "../../api/v1alpha1.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { CellMessages } from "./cell-messages.ts";
import { base, type CellNumbers, LENGTH, LISTED, NOTED, RECORD } from "./cell-numbers.ts";
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

  /** Has the counter hear of the cell's next alert, which begins its counts. */
  unlist(cell: number): void {
    this.#parts.numbers.at(cell)[base(cell) + LENGTH]! &= ~(LISTED | NOTED);
  }

  /** Has the counter hear of the cell's next alert, which changes its counts. */
  unnote(cell: number): void {
    this.#parts.numbers.at(cell)[base(cell) + LENGTH]! &= ~NOTED;
  }

  /** Returns what the cell has counted since its counts were taken; undefined for nothing. */
  get(cell: number): HeldCounts | undefined {
    const record = this.#findRecord(cell);
    return record === 0 ? undefined : this.#parts.records.getCounts(record);
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
