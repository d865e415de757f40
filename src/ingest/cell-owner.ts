// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the counter behind a cell, and what it takes from the cell.

import type { RecordCounts } from "./cell-records.ts";
import type { KeptEvidence } from "./evidence.ts";

/** Cells by the number of the first; each knows its neighbors. */
export interface CellList {
  /** 0 for none. */
  firstCell: number;
}

/** The counter behind a cell. */
export interface CellOwner {
  /** Holds all cells with the same counter. */
  readonly cells: CellList;
  /** Receives the first alert since the counts of the cell were taken. */
  onCounting(): void;
  /** Takes the counts of all of its cells that have any. */
  takeCounts(): void;
}

/** Counts of one cell, and its newest alert. */
export interface TakenCounts extends RecordCounts {
  evidence: KeptEvidence;
}
