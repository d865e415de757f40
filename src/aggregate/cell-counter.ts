// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Connects one cell with the violation that its alerts are counted for.
// Invariant: the cell is forgotten with its violation, so that no alert is counted for a violation that was left.

import type { CellOwner } from "../ingest/cell-owner.ts";
import type { RuleFacts } from "../ingest/rule.ts";
import type { PolicyFacts, Violation } from "../ingest/violation.ts";
import { TextPool } from "../lib/text-pool.ts";
import type { Entry } from "./entry.ts";

/** The hooks of a report that owns cells. */
export interface CountingReport {
  /** Receives each cell that has counts since its counts were taken. */
  noteCounting(counter: CellCounter): void;
  /** Adds what cells have counted to what is pending. */
  takeCellCounts(): void;
}

/** Names and facts that many violations share. */
const NAMES = new TextPool(8192, (name) => name);
const FACTS = new TextPool(4096, (json) => JSON.parse(json) as PolicyFacts);

export class CellCounter implements CellOwner {
  readonly cell: number;
  readonly cells: Entry;
  readonly policy: PolicyFacts;
  readonly rule: RuleFacts;
  readonly pod: string;
  readonly node: string;
  readonly podKey: string;
  readonly #report: CountingReport;

  constructor(cell: number, report: CountingReport, entry: Entry, violation: Violation) {
    const { policy, rule, pod, node, podKey } = violation;
    this.cell = cell;
    this.cells = entry;
    this.policy = FACTS.get(JSON.stringify(policy));
    this.rule = rule;
    this.pod = NAMES.get(pod);
    this.node = NAMES.get(node);
    this.podKey = NAMES.get(podKey);
    this.#report = report;
  }

  onCounting(): void {
    this.#report.noteCounting(this);
  }

  takeCounts(): void {
    this.#report.takeCellCounts();
  }
}
