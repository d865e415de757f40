// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Number of reports held, in all and per namespace. Invariant: the policies of one namespace leave room for the reports
// of the others. Reports that are stored already are held beyond the bounds.

import type { ReportRejection } from "../ingest/ingest-counters.ts";
import type { MemoryLimits } from "./memory-budget.ts";

export class ReportQuota {
  readonly #limits: MemoryLimits;
  readonly #counts = new Map<string | undefined, number>();
  #total = 0;

  constructor(limits: MemoryLimits) {
    this.#limits = limits;
  }

  /** Returns why no report may begin in the namespace (undefined: of the cluster); undefined where one may. */
  findRefusal(namespace: string | undefined): ReportRejection | undefined {
    const { maxReports, maxReportsPerNamespace } = this.#limits;
    if (this.#total >= maxReports) return "too_many_reports";
    const held = this.#counts.get(namespace) ?? 0;
    return held >= maxReportsPerNamespace ? "too_many_reports_in_namespace" : undefined;
  }

  add(namespace: string | undefined): void {
    this.#change(namespace, 1);
  }

  remove(namespace: string | undefined): void {
    this.#change(namespace, -1);
  }

  #change(namespace: string | undefined, by: number): void {
    this.#total += by;
    const count = (this.#counts.get(namespace) ?? 0) + by;
    if (count > 0) this.#counts.set(namespace, count);
    else this.#counts.delete(namespace);
  }
}
