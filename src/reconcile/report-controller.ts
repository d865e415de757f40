// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes the reports that changed: a work queue of their keys, a few reconciled at a time, at a bounded rate.
// A report is reconciled by one worker at a time; unwritten counts stay in its ledger.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { LayerRow } from "../aggregate/ledger/change-log.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { OnHeld } from "../aggregate/ledger/ledger-transfer.ts";
import { recoverSets } from "../aggregate/ledger/recovered-counts.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import { unreachable } from "../lib/assert.ts";
import type { ReportBuffers } from "../lib/collections/buffer-use.ts";
import { runInTurns, type Steps } from "../lib/pacing/steps.ts";
import { WorkLoop } from "../lib/pacing/work-loop.ts";
import type { EpochUs } from "../lib/time.ts";
import { rebaseOn } from "../report/parse.ts";
import { RenderedViolations } from "../report/rendered-violations.ts";
import { BusyReports } from "./busy-reports.ts";
import { type ControllerObserver, notifyTaking, notifyWritten } from "./controller-observer.ts";
import { Deletions } from "./deletions.ts";
import { findPersistedSeq, isWrittenByAnother } from "./marks.ts";
import { GoneNamespaces } from "./namespaces/gone-namespaces.ts";
import { NamespaceLookup } from "./namespaces/namespace-lookup.ts";
import type { ReconcileResult } from "./reconcile-steps.ts";
import type { ReconcilerParts } from "./reconciler-parts.ts";
import { isFresh, type ReportQueue } from "./report-queue.ts";
import { ReportReconciler } from "./report-reconciler.ts";
import { toReportRef } from "./write-attempt.ts";

export interface ReportControllerOptions {
  /** Over all reports; one of more than 32 KiB counts as several. */
  writesPerSecond: number;
  writeBurst: number;
  /** Names this process in marks, unlike any other that ever ran; undefined writes none (a directory). */
  writerId: string | undefined;
}

export interface ReportControllerParts
  extends Pick<ReconcilerParts, "sink" | "clock" | "logger" | "render" | "onResult" | "onOvertaken"> {
  aggregator: Aggregator;
  /** Takes the pending counts of a report with a namespace that is gone. Default: they go to the cluster report. */
  leaveNamespace?: ((key: string) => void) | undefined;
  queue: ReportQueue;
}

/** Reports written at the same time; each holds one connection. */
const CONCURRENCY = 4;
/** Between two rounds of a flush. */
const FLUSH_RETRY_MS = 500;

export class ReportController {
  readonly #writerId: string | undefined;
  readonly #parts: ReportControllerParts;
  readonly #observers: ControllerObserver[] = [];
  readonly #queue: ReportQueue;
  readonly #loop: WorkLoop;
  readonly #gone: GoneNamespaces;
  readonly #lookup: NamespaceLookup;
  readonly #deletions = new Deletions();
  readonly #reconcilers = new Map<string, ReportReconciler>();
  readonly #busy: BusyReports;
  readonly rendered = new RenderedViolations();
  /** Writes and reads that failed and were requeued. */
  retries = 0;
  removed = 0;
  #calls = new AbortController();

  constructor(options: ReportControllerOptions, parts: ReportControllerParts) {
    this.#writerId = options.writerId;
    this.#parts = parts;
    this.#queue = parts.queue;
    this.#busy = new BusyReports(parts.queue);
    this.#gone = new GoneNamespaces(parts.clock);
    this.#lookup = new NamespaceLookup({ ...parts, ledgers: parts.aggregator.ledgers, gone: this.#gone });
    this.#loop = new WorkLoop({
      queue: this.#queue.work,
      clock: parts.clock,
      perSecond: options.writesPerSecond,
      burst: options.writeBurst,
      concurrency: CONCURRENCY,
      process: (key, rank) => this.#reconcile(key, isFresh(rank)),
    });
  }

  /** Adds an observer; observers are called in the order of their addition. */
  observe(observer: ControllerObserver): void {
    this.#observers.push(observer);
  }

  /** Reports that wait to be written or are being written. */
  get backlog(): number {
    return this.#queue.length;
  }

  get buffers(): ReportBuffers {
    const reports = { absent_namespaces: this.#gone, deletions: this.#deletions, write_intervals: this.#queue.paces };
    return { ...this.#parts.aggregator.gaps.buffers, ...reports };
  }

  /** A refusal that is not about one report alone, as long as it lasts. */
  get commonRefusal(): string | undefined {
    const refusals = this.#reconcilers.values().map(({ commonRefusal }) => commonRefusal);
    return refusals.find(Boolean);
  }

  /** True while writes are refused or fail repeatedly, except refusals of a single report. */
  get isFailing(): boolean {
    return this.#reconcilers.values().some(({ isFailing }) => isFailing);
  }

  /** Refusals that only a person can resolve, each once, as long as they last. */
  get refusals(): readonly string[] {
    const all = Array.from(this.#reconcilers.values(), ({ refusal }) => refusal);
    return [...new Set(all.filter((refusal) => refusal !== undefined))];
  }

  /**
   * Takes a stored report as the base of its ledger, and the sets of an earlier process of this writer that the report
   * does not hold; before start. Returns the occurrences of the latter. `onHeld` and steps as in LedgerTransfer.recover.
   */
  *adopt(ledger: Ledger, report: Report | undefined, layers: readonly LayerRow[], onHeld?: OnHeld): Steps<number> {
    if (report) yield* rebaseOn(ledger, report);
    const seq = this.#writerId === undefined ? 0 : findPersistedSeq(report?.metadata, this.#writerId);
    ledger.sets.markPersisted(seq);
    const open = yield* recoverSets(layers.filter((layer) => layer.seq > seq));
    yield* ledger.transfer.recover(open, onHeld);
    const key = reportKey(ledger.namespace, ledger.policyName);
    this.#getReconciler(key, ledger).resume(report?.metadata);
    if (report && this.#parts.sink.isMislabeled?.(report)) this.#queue.add(key, "coverage");
    if (report) for (const observer of this.#observers) observer.onAdopted?.(ledger, report);
    return open.reduce((sum, { totals }) => sum + totals.occurrences, 0);
  }

  /** True while this process writes; before that, and while another replica leads, changes only gather. */
  get isActive(): boolean {
    return this.#loop.isActive;
  }

  /** Begins to write. */
  start(): void {
    this.#loop.start();
  }

  /** Begins no further write and waits for those under way. */
  async pause(): Promise<void> {
    await this.#loop.stop();
  }

  /** Stops writing at once: calls under way are abandoned, and settled by reads after the next start. */
  async suspend(): Promise<void> {
    this.#calls.abort();
    await this.pause();
    this.#calls = new AbortController();
  }

  /**
   * Writes everything now, regardless of pace, until nothing is left or the signal aborts; that ends the calls under
   * way, and this controller. What could not be written stays in the ledgers.
   */
  async flush(signal: AbortSignal): Promise<void> {
    const calls = this.#calls;
    if (signal.aborted) calls.abort();
    signal.addEventListener("abort", () => calls.abort(), { once: true });
    await this.pause();
    this.#parts.aggregator.gaps.reportRejections();
    this.#parts.aggregator.gaps.addLackingToAll();
    while (!calls.signal.aborted) {
      await this.#flushAll(this.#listPendingKeys());
      if (this.#listPendingKeys().length === 0) return;
      await this.#parts.clock.sleep(FLUSH_RETRY_MS, calls.signal);
    }
  }

  #listPendingKeys(): string[] {
    return [...this.#parts.aggregator.ledgers]
      .filter(([, l]) => l.write.isNeeded || l.write.isInFlight)
      .map(([key]) => key);
  }

  async #flushAll(queue: string[]): Promise<void> {
    const worker = async () => {
      for (let key = queue.shift(); key !== undefined && !this.#calls.signal.aborted; key = queue.shift()) {
        this.#queue.forget(key);
        await this.#reconcile(key, true);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  async #reconcile(key: string, fresh: boolean): Promise<void> {
    await this.#busy.run(key, [key, fresh], () => this.#takeTurn(key, fresh));
  }

  async #takeTurn(key: string, fresh: boolean): Promise<void> {
    const ledger = this.#parts.aggregator.ledgers.get(key);
    if (!ledger) return;
    if (ledger.namespace !== undefined && this.#gone.has(ledger.namespace)) {
      // Nothing is written: the next key need not wait, but alerts are read first.
      this.#loop.spend(-1);
      await this.#parts.clock.turn();
      return await this.#moveToCluster(key, ledger, false);
    }
    const reconciler = this.#getReconciler(key, ledger);
    const { refusal } = reconciler;
    const result = await reconciler.reconcile(fresh, this.#calls.signal);
    if (reconciler.refusal !== undefined && reconciler.refusal !== refusal) this.#logRefusal(reconciler);
    await this.#handle(key, reconciler, result);
  }

  async #handle(key: string, { ledger, retry }: ReportReconciler, result: ReconcileResult): Promise<void> {
    switch (result.kind) {
      case "written":
        retry.reset();
        if (ledger.namespace !== undefined) this.#gone.delete(ledger.namespace);
        this.#parts.aggregator.afterWrite(ledger);
        this.#queue.recordWrite(key, result.fresh);
        // Includes counts from before an earlier attempt of this write.
        if (ledger.write.isNeeded) this.#queue.add(key, ledger.write.hasNewViolation ? "new_violation" : "counters");
        return;
      case "requeue":
        this.retries++;
        this.#queue.requeue(key, result.fresh, retry.nextMs(result.afterMs));
        return;
      case "recreate":
        this.#queue.add(key, "new_report");
        return;
      case "noop":
        // An alert may have been counted since.
        if (this.#parts.aggregator.drop(key)) {
          this.#deletions.add(key, ledger);
          this.#reconcilers.delete(key);
          this.rendered.delete(ledger);
          this.#queue.delete(key);
        } else this.#queue.add(key, "new_report");
        return;
      case "namespace_gone":
        if (this.#gone.add(ledger.namespace ?? "")) this.#parts.logger.info(toReportRef(ledger), "namespace gone");
        void this.#lookup.run(this.backlog, this.#calls.signal);
        await this.#moveToCluster(key, ledger, true);
        return;
      default:
        unreachable(result);
    }
  }

  async #moveToCluster(key: string, ledger: Ledger, fresh: boolean): Promise<void> {
    const to = reportKey(undefined, ledger.policyName);
    await this.#busy.run(to, [key, fresh], () => this.#move(key, ledger, fresh));
  }

  async #move(key: string, ledger: Ledger, fresh: boolean): Promise<void> {
    this.#reconcilers.delete(key);
    this.rendered.delete(ledger);
    // The pace stays: pods of a namespace that is being deleted may go on for a while.
    this.#queue.recordWrite(key, fresh);
    const { aggregator, leaveNamespace, clock } = this.#parts;
    for (const observer of this.#observers) observer.onMoving?.(ledger);
    if (leaveNamespace) leaveNamespace(key);
    else await runInTurns(aggregator.moveToCluster(key), clock);
    for (const observer of this.#observers) observer.onMoved?.(ledger);
  }

  /** Logs a refusal once, however many reports meet it. */
  #logRefusal({ ledger, refusal }: ReportReconciler): void {
    const others = this.#reconcilers.values().filter((reconciler) => reconciler.ledger !== ledger);
    if (others.some((reconciler) => reconciler.refusal === refusal)) return;
    this.#parts.logger.error({ ...toReportRef(ledger), answer: refusal }, "report refused, retrying");
  }

  #getReconciler(key: string, ledger: Ledger): ReportReconciler {
    const known = this.#reconcilers.get(key);
    if (known) return known;
    this.#deletions.restore(key, ledger);
    const reconciler = new ReportReconciler(ledger, {
      ...this.#parts,
      render: () => ({ ...this.#parts.render(), rendered: this.rendered }),
      writerId: this.#writerId,
      rebase: (...base) => this.#rebase(...base),
      spend: (writes) => this.#loop.spend(writes),
      onTaking: () => notifyTaking(this.#observers, ledger),
      onWritten: (...written) => notifyWritten(this.#observers, written, this.#parts.clock),
      onRemoved: () => this.removed++,
    });
    this.#reconcilers.set(key, reconciler);
    return reconciler;
  }

  *#rebase(ledger: Ledger, report: Report | undefined, deletedUs?: EpochUs): Steps {
    const before = ledger.counts.all.occurrences - ledger.counts.unwritten;
    this.rendered.delete(ledger);
    yield* rebaseOn(ledger, report, deletedUs);
    if (!report || this.#writerId === undefined || !isWrittenByAnother(report.metadata, this.#writerId)) return;
    const more = ledger.counts.all.occurrences - ledger.counts.unwritten - before;
    for (const observer of this.#observers) yield* observer.onForeignBase?.(ledger, report, more) ?? [];
  }
}
