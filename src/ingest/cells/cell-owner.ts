// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the counter behind a cell, and what it takes from the cell.

import type { Outcome } from "../../api/v1alpha1.ts";
import { TextPool } from "../../lib/collections/text-pool.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { KeptEvidence } from "../evidence/evidence.ts";
import { parseRule } from "../violation/rule.ts";
import type { ViolationFacts } from "../violation/violation.ts";
import type { HeldCounts } from "./cell-records.ts";

/** What cells count for; each cell knows its neighbors. */
export interface CellOwner {
  readonly outcome: Outcome;
  /** 0 for none. */
  firstCell: number;
  /** Undefined once the owner counts no more. */
  readonly counter: CellCounter | undefined;
}

export interface CellCounter {
  /** First of its sums; see CellSums. */
  readonly sums: number;
  /** Adds its sums to the totals. */
  takeSums(): void;
  /** Receives a cell with the first alert since its counts were looked at; `sinceUs` is its time where it begins them. */
  noteCounting(cell: number, owner: CellOwner, sinceUs: EpochUs | undefined): void;
  takeCount(cell: number, owner: CellOwner): void;
}

/** Counts of one cell, and its newest alert. */
export interface TakenCounts extends HeldCounts {
  evidence: KeptEvidence;
}

/** What alerts of a cell say beside their violation. */
export type CellFacts = Pick<ViolationFacts, "policy" | "rule" | "pod" | "node" | "podKey">;

/** Facts that the cells of a pod share. */
const POOL = new TextPool<CellFacts>(8192, (text) => {
  const [policy, rule, pod, node, podKey] = JSON.parse(text);
  return { policy, rule: parseRule(rule), pod, node, podKey };
});

/** Equal facts are one object in most cases. */
export function shareFacts({ policy, rule, pod, node, podKey }: CellFacts): CellFacts {
  return POOL.get(JSON.stringify([policy, rule.text, pod, node, podKey]));
}
