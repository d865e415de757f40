// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes what the aggregator holds, at our pace: which report is next, how many at a time, and when to try again.
// Invariant: a report has one turn at a time; what is not written stays in its ledger.

import type { Aggregator, Urgency } from "../aggregate/aggregator.ts";
import type { LayerRow } from "../aggregate/change-log.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import { recoverSet } from "../aggregate/recovered-counts.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation.ts";
import { unreachable } from "../lib/assert.ts";
import { fullJitter } from "../lib/clock.ts";
import { TokenBucket } from "../lib/token-bucket.ts";
import { rebaseOn } from "../report/parse.ts";
import { type ReconcileResult, ReportReconciler, type ReportTaskParts, refOf } from "./report-reconciler.ts";
import { isWrittenByAnother, persistedSeq } from "./watermark.ts";
import { WorkQueue } from "./work-queue.ts";
import type { PaceOptions } from "./write-pace.ts";

export interface WriterOptions {
  pace: PaceOptions;
  /** Over all reports. */
  writesPerSecond: number;
  writeBurst: number;
  /** Names this process in the watermark, unlike any other that ever ran; undefined writes none (a directory). */
  writerId: string | undefined;
}

/** `onPersisted` is called before the write in flight is committed: the moment to tell of it. */
export interface WriterParts
  extends Pick<ReportTaskParts, "sink" | "clock" | "logger" | "render" | "onPersisted" | "onResult"> {
  aggregator: Aggregator;
  /** Called when a stored report has become the base of its ledger, before the start. */
  onAdopted: (ledger: Ledger, report: Report) => void;
  /** Called when a report that another writer wrote last has become the base, with `more` occurrences than before. */
  onForeignBase: (ledger: Ledger, report: Report, more: number) => void;
}

/** One report's way to the store. */
interface WorkItem {
  task: ReportReconciler;
  failures: number;
}

/** Writes at the same time; each holds one connection. */
const CONCURRENCY = 4;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 15_000;

export class ReportController {
  readonly #writerId: string | undefined;
  readonly #parts: WriterParts;
  readonly #taskParts: ReportTaskParts;
  readonly #queue: WorkQueue;
  readonly #bucket: TokenBucket;
  readonly #turns = new Map<string, WorkItem>();
  readonly #busy = new Map<string, Promise<void>>();
  /** Writes and reads that failed and were put off. */
  retries = 0;
  /** Reports that were removed because nothing in them was young enough. */
  removed = 0;
  #active = false;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #calls = new AbortController();

  constructor(options: WriterOptions, parts: WriterParts) {
    this.#writerId = options.writerId;
    this.#parts = parts;
    this.#taskParts = {
      ...parts,
      onRemoved: () => this.removed++,
      writerId: options.writerId,
      rebase: (ledger, report) => this.#rebase(ledger, report),
    };
    this.#queue = new WorkQueue(options.pace);
    this.#bucket = new TokenBucket(options.writesPerSecond, options.writeBurst);
  }

  /** Reports that wait to be written or are being written. */
  get backlog(): number {
    return this.#queue.size + this.#busy.size;
  }

  /** Refusals that only a person can mend, as long as they last. */
  get refusals(): readonly string[] {
    const all = [...this.#turns.values()].map(({ task }) => task.refusal);
    return [...new Set(all.filter((refusal) => refusal !== undefined))];
  }

  /**
   * Takes a stored report as the base of its ledger, and what an earlier process of this writer left that the report
   * does not hold; before start. Returns the occurrences of the latter.
   */
  adopt(ledger: Ledger, report: Report | undefined, layers: readonly LayerRow[]): number {
    if (report) rebaseOn(ledger, report);
    const seq = this.#writerId === undefined ? 0 : persistedSeq(report?.metadata, this.#writerId);
    ledger.markPersisted(seq);
    const open = layers.filter((layer) => layer.seq > seq).map(recoverSet);
    ledger.recover(open);
    this.#turn(reportKey(ledger.namespace, ledger.policyName), ledger).task.resume(report?.metadata);
    if (report) this.#parts.onAdopted(ledger, report);
    return open.reduce((sum, { totals }) => sum + totals.occurrences, 0);
  }

  /** Notes that a report has something to write. */
  note(key: string, urgency: Urgency): void {
    const nowMs = this.#parts.clock.nowMs();
    const due = this.#queue.note(key, urgency, nowMs);
    // While the write budget is used up, what is due sooner can't be written sooner: this is called for every alert.
    if (this.#active && Math.max(due, nowMs + this.#bucket.waitMs(nowMs)) < this.#timerMs) this.#arm();
  }

  /** Whether this process writes; before that, and while another replica leads, everything only gathers. */
  get isActive(): boolean {
    return this.#active;
  }

  /** Begins to write; before it everything only gathers. */
  start(): void {
    this.#active = true;
    this.#pump();
  }

  /** Stops writing at our pace and waits for the writes that are open. */
  async pause(): Promise<void> {
    this.#active = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    await Promise.all(this.#busy.values());
  }

  /** Stops writing at once: calls that are open are given up. What they were about is found out after a start. */
  async suspend(): Promise<void> {
    this.#calls.abort();
    await this.pause();
    this.#calls = new AbortController();
  }

  /**
   * Writes everything now, whatever the pace, until nothing is left or the signal aborts; that ends the calls that are
   * open, and this writer. What could not be written stays in the ledgers.
   */
  async flush(signal: AbortSignal): Promise<void> {
    const calls = this.#calls;
    if (signal.aborted) calls.abort();
    signal.addEventListener("abort", () => calls.abort(), { once: true });
    await this.pause();
    this.#parts.aggregator.reportRejections();
    while (!calls.signal.aborted) {
      await this.#flushAll(this.#unwrittenKeys());
      if (this.#unwrittenKeys().length === 0) return;
      await this.#parts.clock.sleep(RETRY_BASE_MS, calls.signal);
    }
  }

  #rebase(ledger: Ledger, report: Report | undefined): void {
    const before = ledger.all.occurrences - ledger.unwritten;
    rebaseOn(ledger, report);
    if (!report || this.#writerId === undefined || !isWrittenByAnother(report.metadata, this.#writerId))
      return;
    this.#parts.onForeignBase(ledger, report, ledger.all.occurrences - ledger.unwritten - before);
  }

  #unwrittenKeys(): string[] {
    return [...this.#parts.aggregator.ledgers].filter(([, l]) => l.dirty || l.isInFlight).map(([key]) => key);
  }

  async #flushAll(keys: readonly string[]): Promise<void> {
    const queue = [...keys];
    const worker = async () => {
      for (let key = queue.shift(); key !== undefined && !this.#calls.signal.aborted; key = queue.shift()) {
        this.#queue.forget(key);
        await this.#takeTurn(key, true);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (!this.#active || this.#busy.size >= CONCURRENCY) return;
    const nowMs = this.#parts.clock.nowMs();
    const due = this.#queue.nextDueMs(this.#busy, nowMs);
    if (due === undefined) return;
    this.#timerMs = Math.max(due, nowMs + this.#bucket.waitMs(nowMs));
    this.#cancelTimer = this.#parts.clock.after(Math.max(0, this.#timerMs - nowMs), () => this.#pump());
  }

  #pump(): void {
    const { clock } = this.#parts;
    while (this.#active && this.#busy.size < CONCURRENCY && this.#bucket.waitMs(clock.nowMs()) === 0) {
      const next = this.#queue.next(clock.nowMs(), this.#busy);
      if (!next) break;
      this.#bucket.take(clock.nowMs());
      this.#launch(next.key, next.fresh);
    }
    this.#arm();
  }

  #launch(key: string, fresh: boolean): void {
    const work = this.#takeTurn(key, fresh).finally(() => {
      this.#busy.delete(key);
      if (this.#active) this.#pump();
    });
    this.#busy.set(key, work);
  }

  async #takeTurn(key: string, fresh: boolean): Promise<void> {
    const ledger = this.#parts.aggregator.ledgers.get(key);
    if (!ledger) return;
    const turn = this.#turn(key, ledger);
    const refusal = turn.task.refusal;
    const result = await turn.task.run(fresh, this.#calls.signal);
    if (turn.task.refusal !== undefined && turn.task.refusal !== refusal) this.#tell(turn.task);
    this.#act(key, turn, result);
  }

  #act(key: string, turn: WorkItem, result: ReconcileResult): void {
    const nowMs = this.#parts.clock.nowMs();
    switch (result.kind) {
      case "landed":
        turn.failures = 0;
        this.#parts.aggregator.afterWrite(turn.task.ledger);
        this.#queue.written(key, result.fresh, nowMs);
        // What came while an earlier try waited for its turn was not part of it, and has no other reason to be written.
        this.#noteRest(key, turn.task.ledger);
        return;
      case "later":
        this.#queue.retry(key, nowMs + Math.max(this.#backOffMs(turn), result.afterMs), result.fresh);
        return;
      case "anew":
        this.note(key, "new_report");
        return;
      case "empty":
        // An alert may have come since the turn found nothing.
        if (this.#parts.aggregator.drop(key)) this.#turns.delete(key);
        else this.note(key, "new_report");
        return;
      case "namespace_gone":
        this.#leaveNamespace(key, turn.task.ledger, nowMs);
        return;
      default:
        unreachable(result);
    }
  }

  #noteRest(key: string, ledger: Ledger): void {
    if (ledger.dirty) this.note(key, ledger.hasNewViolation ? "new_violation" : "counters");
  }

  #leaveNamespace(key: string, ledger: Ledger, nowMs: number): void {
    this.#parts.logger.info(
      { namespace: ledger.namespace, report: ledger.name },
      "namespace is gone: its counts go to the cluster report",
    );
    this.#turns.delete(key);
    // The pace stays: pods of a namespace that is being deleted may go on for a while.
    this.#queue.written(key, true, nowMs);
    this.#parts.aggregator.moveToCluster(key);
  }

  /** Says a refusal once, however many reports meet it. */
  #tell(task: ReportReconciler): void {
    const others = [...this.#turns.values()].filter((turn) => turn.task !== task);
    if (others.some((turn) => turn.task.refusal === task.refusal)) return;
    const fields = { ...refOf(task.ledger), answer: task.refusal };
    this.#parts.logger.error(fields, "report refused: will try again");
  }

  #backOffMs(turn: WorkItem): number {
    const random = this.#parts.clock.random();
    const delayMs = RETRY_BASE_MS + fullJitter(turn.failures, RETRY_BASE_MS, RETRY_MAX_MS, random);
    turn.failures++;
    this.retries++;
    return delayMs;
  }

  #turn(key: string, ledger: Ledger): WorkItem {
    let turn = this.#turns.get(key);
    if (!turn) {
      turn = { task: new ReportReconciler(ledger, this.#taskParts), failures: 0 };
      this.#turns.set(key, turn);
    }
    return turn;
  }
}
