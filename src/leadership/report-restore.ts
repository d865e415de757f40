// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Continues the counts of stored reports, and what the journal holds beyond them.
// Invariant: no step visits more than VIOLATIONS_PER_STEP violations and one report; alerts are counted in between.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import { toUs } from "../aggregate/stream-coverage.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import type { Clock } from "../lib/clock.ts";
import { Slices } from "../lib/slices.ts";
import type { ReportController } from "../reconcile/report-controller.ts";
import type { ReportQueue } from "../reconcile/report-queue.ts";
import { getLastSeenMs, toGapUs } from "./stored-times.ts";

export interface RestoreParts {
  aggregator: Aggregator;
  clock: Clock;
  journaling: Journaling | undefined;
  controller: ReportController;
  queue: ReportQueue;
}

/** Some milliseconds of work. */
const VIOLATIONS_PER_STEP = 500;

export class ReportRestore {
  readonly #parts: RestoreParts;
  /** Reports that another replica has written since this one did, by reportKey. */
  readonly #overtaken: ReadonlySet<string>;
  readonly #restored = new WeakSet<Ledger>();
  /** Overtaken reports of which the journal held counts: these are left to the other replica. */
  readonly leftToOther: [namespace: string | undefined, policyName: string][] = [];

  constructor(parts: RestoreParts, overtaken: ReadonlySet<string>) {
    this.#parts = parts;
    this.#overtaken = overtaken;
  }

  /** True where the ledger continues a stored report or counts from the journal. */
  has(ledger: Ledger | undefined): boolean {
    return ledger !== undefined && this.#restored.has(ledger);
  }

  /** `previousEndMs`: when the previous process read last, or when this one took over. Milliseconds since the epoch. */
  async run(stored: readonly Report[], previousEndMs: number): Promise<void> {
    const { clock, journaling } = this.#parts;
    const slices = new Slices(clock, VIOLATIONS_PER_STEP);
    for (const report of stored) {
      this.#restore(report.metadata.namespace, report.policy.name, report, previousEndMs);
      await slices.spend(1 + report.violations.length);
    }
    for (const { namespace, policyName } of journaling?.unclaimed ?? []) {
      this.#restore(namespace, policyName, undefined, previousEndMs);
      await slices.spend(VIOLATIONS_PER_STEP);
    }
  }

  #restore(
    namespace: string | undefined,
    policyName: string,
    report: Report | undefined,
    previousEndMs: number,
  ): void {
    const { aggregator, journaling } = this.#parts;
    const key = reportKey(namespace, policyName);
    const ledger = aggregator.ledger(namespace, policyName);
    this.#restored.add(ledger);
    const { layers, isDamaged } = journaling?.claim(key) ?? { layers: [], isDamaged: false };
    // Another replica that wrote the report since has read for itself what this one did not come to write.
    const isLeft = layers.length > 0 && this.#overtaken.has(key);
    const recovered = this.#parts.controller.adopt(ledger, report, isLeft ? [] : layers);
    if (isLeft) {
      ledger.advanceSeq(Math.max(...layers.map(({ seq }) => seq)));
      this.leftToOther.push([namespace, policyName]);
    }
    if (journaling) journaling.recovered += recovered;
    if (isDamaged) {
      // Of what was counted since the stored report some may be lost.
      const toMs = journaling?.readUntilMs ?? previousEndMs;
      const fromMs = Math.min(toMs, report ? getLastSeenMs([report]) : toMs);
      aggregator.addGapTo(namespace, policyName, toGapUs({ kind: "JournalUnavailable", fromMs, toMs }));
    }
    if (report && ledger.endUnknownGaps(toUs(previousEndMs))) this.#parts.queue.add(key, "coverage");
    if (recovered > 0) this.#parts.queue.add(key, "new_violation");
  }
}
