// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps of the reports that may lack alerts which this replica has read: those that it left to the previous leader's
// writes, or evicted before it led. Invariant: what is declared before the times of the takeover are known is declared
// once they are.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Gap, StreamCoverage } from "../aggregate/gaps/stream-coverage.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { toGapUs } from "./stored-times.ts";

export interface HandoverGapParts {
  aggregator: Aggregator;
  coverage: Pick<StreamCoverage, "addEndedGap">;
}

type ReportName = Pick<Ledger, "namespace" | "policyName">;

export class HandoverGap {
  readonly #parts: HandoverGapParts;
  /** Undefined before the takeover. */
  #gap: (Gap & { toMs: number }) | undefined;
  #isCounted = false;
  /** Undefined: every report that begins later. */
  #undeclared: (ReportName | undefined)[] = [];

  constructor(parts: HandoverGapParts) {
    this.#parts = parts;
  }

  /** Begins with the times of the takeover: alerts that arrived before `fromMs` are persisted, or in another gap. */
  begin(fromMs: number, toMs: number): void {
    this.#gap = { kind: "Handover", fromMs: Math.min(fromMs, toMs), toMs };
    for (const report of this.#undeclared) this.declare(report);
    this.#undeclared = [];
  }

  /** Declares the gap in a report, or where there is none in every report that begins later. */
  declare(report: ReportName | undefined): void {
    const { aggregator, coverage } = this.#parts;
    if (!this.#gap) {
      this.#undeclared.push(report);
      return;
    }
    if (!this.#isCounted) coverage.addEndedGap(this.#gap);
    this.#isCounted = true;
    aggregator.gaps.addGapTo(report, toGapUs(this.#gap));
  }
}
