// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Continues the counts of one stored report after the other, and adds what the journal holds beyond them.
// Invariant: a report is not kept once its ledger continues it.

import type { Aggregator } from "../aggregate/aggregator.ts";
import { hasGap, type StatedGap } from "../aggregate/gaps/stated-gaps.ts";
import type { StreamCoverage } from "../aggregate/gaps/stream-coverage.ts";
import { findWrittenUs } from "../aggregate/gaps/stream-gap-text.ts";
import type { LayerRow } from "../aggregate/ledger/change-log.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import type { Clock } from "../lib/clock.ts";
import { runInTurns, type Spend } from "../lib/pacing/steps.ts";
import { type EpochUs, toEpochUs } from "../lib/time.ts";
import { findPersistedSeq } from "../reconcile/marks.ts";
import { parseMoved } from "../reconcile/namespaces/moved-annotation.ts";
import type { MovedSets } from "../reconcile/namespaces/moved-sets.ts";
import type { ReportController } from "../reconcile/report-controller.ts";
import type { ReportQueue } from "../reconcile/report-queue.ts";
import { JournaledMoves } from "./journaled-moves.ts";
import { getLastSeenMs, StoredTimes, toGapUs } from "./stored-times.ts";

export interface RestoreParts {
  clock: Pick<Clock, "turn" | "monotonicMs">;
  aggregator: Aggregator;
  coverage: StreamCoverage;
  journaling: Journaling | undefined;
  controller: ReportController;
  queue: ReportQueue;
  /** Undefined without a journal. */
  movedSets: MovedSets | undefined;
}

/** Times of a stored report. */
interface ReportTimes {
  lastSeenMs: number;
  /** As findWrittenUs. */
  writtenUs: EpochUs;
}

type ReportName = [namespace: string | undefined, policyName: string];

export class ReportRestore {
  readonly times = new StoredTimes();
  /** Reports that another writer has written last. */
  readonly overtaken = new Set<string>();
  /** Reports that another replica has written last, with counts in the journal: these are left to the other replica. */
  readonly leftToOther: ReportName[] = [];
  readonly #parts: RestoreParts;
  readonly #moves: JournaledMoves | undefined;
  /** Ledgers that continue a report, each with times in it; undefined for one that is only in the journal. */
  readonly #restored = new WeakMap<Ledger, ReportTimes | undefined>();
  /** End of gaps that were open in the reports, and those that are stated; undefined before declareGaps. */
  #ends: [us: EpochUs, stated: readonly StatedGap[]] | undefined;
  /** Reports that may lack journaled counts, each with the time since when, as far as it is known. */
  #incomplete: { name: ReportName; sinceMs: number | undefined }[] = [];

  constructor(parts: RestoreParts) {
    this.#parts = parts;
    this.#moves = parts.journaling && new JournaledMoves(parts.journaling);
  }

  /** True where the ledger continues a stored report or counts from the journal. */
  has(ledger: Ledger | undefined): boolean {
    return ledger !== undefined && this.#restored.has(ledger);
  }

  /** The newest time in the stored report that the ledger continues; undefined where there is none. */
  lastSeenMs(ledger: Ledger): number | undefined {
    return this.#restored.get(ledger)?.lastSeenMs;
  }

  /** Continues gaps of the previous leader's stream, in reports that were not written since and do not have them. */
  continueGaps(gaps: readonly StatedGap[]): void {
    const { aggregator, clock, coverage } = this.#parts;
    // The oldest first, so that none looks as if newer ones had pushed it out.
    for (const gap of gaps.toReversed()) {
      const isOlder = (ledger: Ledger) => (this.#restored.get(ledger)?.writtenUs ?? gap.toUs) < gap.toUs;
      const lacks = (ledger: Ledger) => isOlder(ledger) && !hasGap(ledger.counts.all.coverageGaps, gap);
      // A report that is not written since still has the time from before the gap.
      coverage.excludeBefore(gap.toUs / 1000);
      aggregator.gaps.late.continueGap(gap, clock.monotonicMs(), lacks);
    }
  }

  /** Continues a stored report; a second time takes a later state of it. */
  async adopt(report: Report): Promise<void> {
    const { metadata, policy } = report;
    const name: ReportName = [metadata.namespace, policy.name];
    this.#moves?.add(report, this.overtaken.has(reportKey(...name)));
    if (metadata.namespace === undefined) this.#skipMovedSeqs(report);
    this.#parts.aggregator.gaps.late.addWriteTime(findWrittenUs(report.coverage));
    if (await this.#restore(name, report)) this.times.add(report);
  }

  /** Continues journaled counts of reports that are not stored. */
  async adoptUnclaimed(spend: Spend, entriesPerReport: number): Promise<void> {
    for (const { namespace, policyName } of this.#parts.journaling?.unclaimed.all ?? []) {
      await this.#restore([namespace, policyName], undefined);
      await spend(entriesPerReport);
    }
  }

  /**
   * Ends gaps that were open in the reports, and declares those of the journal. `previousEndMs`: when the previous
   * process read last, or when this one took over, for those that are not `stated`. Milliseconds since the epoch.
   */
  declareGaps(previousEndMs: number, stated: readonly StatedGap[]): void {
    const { aggregator, journaling } = this.#parts;
    this.#ends = [toEpochUs(previousEndMs), stated];
    aggregator.gaps.endUnknown(...this.#ends);
    const toMs = journaling?.previous.readUntilMs ?? previousEndMs;
    const newestMs = this.times.lastSeenMs || toMs;
    // Some of the counts since the report was stored may be lost.
    const toGap = (sinceMs: number) => toGapUs({ kind: "JournalUnavailable", fromMs: Math.min(toMs, sinceMs), toMs });
    for (const { name, sinceMs } of this.#incomplete) {
      const [namespace, policyName] = name;
      const firstUs = aggregator.ledgers.get(reportKey(...name))?.counts.all.firstUs ?? Number.POSITIVE_INFINITY;
      const gap = toGap(sinceMs ?? Math.min(newestMs, firstUs / 1000));
      aggregator.gaps.addGapTo({ namespace, policyName }, gap);
    }
    this.#incomplete = [];
    if (journaling?.previous.isDamaged) aggregator.gaps.addGapTo(undefined, toGap(newestMs));
  }

  /** Ends gaps that were open in a late write of the previous leader, and counts those once that were added here, too. */
  compareLate({ namespace, policyName, gaps, counts, sets }: Ledger): void {
    gaps.countOnce(counts.committed.coverageGaps, counts.inFlight);
    if (counts.inFlight) sets.log?.noteInFlight();
    if (this.#ends && gaps.endUnknown(counts.committed.coverageGaps, ...this.#ends))
      this.#parts.queue.add(reportKey(namespace, policyName), "coverage");
  }

  /** Returns true where the ledger is restored for the first time. */
  async #restore(name: ReportName, report: Report | undefined): Promise<boolean> {
    const { aggregator, clock, controller, journaling, queue } = this.#parts;
    const key = reportKey(...name);
    const ledger = aggregator.ledger(...name);
    const isFirst = !this.#restored.has(ledger);
    const times = report && getTimes(report);
    this.#restored.set(ledger, times);
    const left = journaling?.unclaimed;
    const isDamaged = left?.get(key)?.isDamaged || journaling?.previous.isDamaged;
    const movedSeq = this.#findMovedSeq(name);
    const journaled = left ? await runInTurns(left.readLayers(key), clock) : [];
    const layers = journaled.filter(({ seq }) => seq > movedSeq);
    // Another replica that wrote the report since has read for itself what this one did not come to write.
    const isOvertaken = this.overtaken.has(key) && layers.some(({ seq }) => seq > this.#findPersistedSeq(report));
    const isLeft = isOvertaken || (report === undefined && layers.length > 0 && this.#leaveMoved(name, layers));
    const adoption = controller.adopt(ledger, report, isLeft ? [] : layers, () => left?.claim(key) === true);
    const recovered = await runInTurns(adoption, clock);
    if (isLeft) {
      ledger.sets.advance(Math.max(...layers.map(({ seq }) => seq)));
      this.leftToOther.push(name);
    }
    if (journaling) journaling.stats.recovered += recovered;
    if (isDamaged) this.#incomplete.push({ name, sinceMs: times?.lastSeenMs });
    // A ledger without counts is dropped at its turn, and its rows leave the journal.
    if (recovered > 0 || !report) queue.add(key, "new_violation");
    return isFirst;
  }

  /**
   * Numbers sets of gone namespaces above those that the cluster report holds: their numbers may be from a block that no
   * journal has reserved.
   */
  #skipMovedSeqs({ metadata, policy }: Report): void {
    const { aggregator, journaling } = this.#parts;
    if (!journaling) return;
    for (const [namespace, seq] of parseMoved(metadata, journaling.writerId)) {
      journaling.numbers.skip(seq);
      aggregator.ledgers.get(reportKey(namespace, policy.name))?.sets.advance(seq);
    }
  }

  #findMovedSeq([namespace, policyName]: ReportName): number {
    return (namespace !== undefined && this.#moves?.findSeq(namespace, policyName)) || 0;
  }

  /** Leaves out sets that the cluster report may hold, and returns true; false where it does not hold them. */
  #leaveMoved([namespace, policyName]: ReportName, layers: readonly LayerRow[]): boolean {
    if (namespace === undefined || !this.#moves?.mayHold(namespace, policyName)) return false;
    const cluster: ReportName = [undefined, policyName];
    this.leftToOther.push(cluster);
    // Without another replica it may be that no report has them.
    if (!this.overtaken.has(reportKey(...cluster))) {
      const firstUs = Math.min(...layers.map(({ totals }) => totals.firstUs));
      this.#incomplete.push({ name: cluster, sinceMs: firstUs / 1000 });
    }
    this.#parts.movedSets?.record(namespace, policyName, Math.max(...layers.map(({ seq }) => seq)));
    return true;
  }

  #findPersistedSeq(report: Report | undefined): number {
    const { journaling } = this.#parts;
    return journaling ? findPersistedSeq(report?.metadata, journaling.writerId) : 0;
  }
}

function getTimes(report: Report): ReportTimes {
  return { lastSeenMs: getLastSeenMs(report), writtenUs: findWrittenUs(report.coverage) };
}
