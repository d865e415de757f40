// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes what the aggregator holds, at our pace: take → render → write → commit, or try again.
// Invariant: an attempt whose fate is unknown is sent again as it is until the store tells that it landed or that it
// did not; only then are its counts committed or put back. So nothing is counted twice and nothing is skipped.

import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import type { Aggregator, Urgency } from "../core/aggregate.ts";
import type { Ledger } from "../core/ledger.ts";
import type { PaceOptions } from "../core/pace.ts";
import { type RenderOptions, renderReport } from "../core/report.ts";
import { rebaseOn } from "../core/stored.ts";
import { TokenBucket } from "../core/token-bucket.ts";
import { reportKey } from "../core/violation.ts";
import { unreachable } from "../lib/assert.ts";
import { type Clock, fullJitter } from "../lib/clock.ts";
import type { ReportSink, WriteResult } from "../sinks/sink.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Attempt, buildReport, watermarkOf } from "./attempt.ts";
import { Schedule } from "./schedule.ts";

export interface WriterOptions {
  pace: PaceOptions;
  /** Over all reports. */
  writesPerSecond: number;
  writeBurst: number;
  /** What a report is rendered with; `continuousSinceUs` is asked for at each write. */
  render: () => RenderOptions;
  /** Names this process in the watermark; undefined writes none (a directory). */
  writerId: string | undefined;
}

export interface WriterParts {
  aggregator: Aggregator;
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  /** Called with the ledger before its write in flight is committed: the moment to tell of it. */
  onLanded: (ledger: Ledger, report: Report) => void;
  /** Called for each answer of the sink. */
  onResult: (kind: WriteResult["kind"], durationMs: number) => void;
}

/** What is known of the stored object of one report. */
interface Stored {
  metadata: ObjectMeta | undefined;
  attempt: Attempt | undefined;
  /** Whether an earlier try of the attempt may have landed: until a read tells, its counts are not put back. */
  isOpen: boolean;
  failures: number;
}

/** Writes at the same time; each holds one connection. */
const CONCURRENCY = 4;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 15_000;
/** Tries of one attempt that follow each other at once: a conflict or a shrink is answered, not waited out. */
const MAX_QUICK_TRIES = 8;
/** No report is cut below this: it holds the summary and a violation or two. */
const MIN_REPORT_BYTES = 4096;

export class ReportWriter {
  readonly #options: WriterOptions;
  readonly #parts: WriterParts;
  readonly #schedule: Schedule;
  readonly #bucket: TokenBucket;
  readonly #stored = new Map<string, Stored>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #refusals = new Map<string, string>();
  /** Writes and reads that failed and were put off. */
  retries = 0;
  #active = false;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #sequence = 0;
  readonly #calls = new AbortController();

  constructor(options: WriterOptions, parts: WriterParts) {
    this.#options = options;
    this.#parts = parts;
    this.#schedule = new Schedule(options.pace);
    this.#bucket = new TokenBucket(options.writesPerSecond, options.writeBurst);
  }

  /** Reports that wait to be written or are being written. */
  get backlog(): number {
    return this.#schedule.size + this.#busy.size;
  }

  /** Refusals that only a person can mend, as long as they last. */
  get refusals(): readonly string[] {
    return [...new Set(this.#refusals.values())];
  }

  /** Takes a stored report as the base of its ledger; before start. */
  adopt(ledger: Ledger, report: Report): void {
    this.#parts.aggregator.reshape(ledger, () => rebaseOn(ledger, report));
    this.#state(reportKey(ledger.namespace, ledger.policyName)).metadata = report.metadata;
  }

  /** Notes that a report has something to write. */
  note(key: string, urgency: Urgency): void {
    const due = this.#schedule.note(key, urgency, this.#parts.clock.nowMs());
    if (this.#active && due < this.#timerMs) this.#arm();
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

  /**
   * Writes everything now, whatever the pace, until nothing is left or the signal aborts; that ends the calls that are
   * open, and this writer. What could not be written stays in the ledgers.
   */
  async flush(signal: AbortSignal): Promise<void> {
    if (signal.aborted) this.#calls.abort();
    signal.addEventListener("abort", () => this.#calls.abort(), { once: true });
    await this.pause();
    while (!signal.aborted) {
      const keys = this.#unwrittenKeys();
      if (keys.length === 0) return;
      await this.#flushAll(keys, signal);
      const waitMs = this.#unwrittenKeys().length === 0 ? 0 : RETRY_BASE_MS;
      if (waitMs > 0) await this.#parts.clock.sleep(waitMs, signal);
    }
  }

  #unwrittenKeys(): string[] {
    return [...this.#parts.aggregator.ledgers].filter(([, l]) => l.dirty || l.isInFlight).map(([key]) => key);
  }

  async #flushAll(keys: readonly string[], signal: AbortSignal): Promise<void> {
    const queue = [...keys];
    const worker = async () => {
      for (let key = queue.shift(); key !== undefined && !signal.aborted; key = queue.shift()) {
        this.#schedule.forget(key);
        await this.#reconcile(key, true);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, worker));
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (!this.#active || this.#busy.size >= CONCURRENCY) return;
    const due = this.#schedule.nextDueMs(this.#busy);
    if (due === undefined) return;
    const nowMs = this.#parts.clock.nowMs();
    this.#timerMs = Math.max(due, nowMs + this.#bucket.waitMs(nowMs));
    this.#cancelTimer = this.#parts.clock.after(Math.max(0, this.#timerMs - nowMs), () => this.#pump());
  }

  #pump(): void {
    const { clock } = this.#parts;
    while (this.#active && this.#busy.size < CONCURRENCY && this.#bucket.waitMs(clock.nowMs()) === 0) {
      const next = this.#schedule.next(clock.nowMs(), this.#busy);
      if (!next) break;
      this.#bucket.take(clock.nowMs());
      this.#launch(next.key, next.fresh);
    }
    this.#arm();
  }

  #launch(key: string, fresh: boolean): void {
    const work = this.#reconcile(key, fresh).finally(() => {
      this.#busy.delete(key);
      if (this.#active) this.#pump();
    });
    this.#busy.set(key, work);
  }

  /** Brings one report up to date, or schedules another try. Never rejects. */
  async #reconcile(key: string, fresh: boolean): Promise<void> {
    const ledger = this.#parts.aggregator.ledgers.get(key);
    if (!ledger) return;
    const state = this.#state(key);
    if (!state.attempt) this.#prepare(key, ledger, state, fresh);
    for (let tries = 0; state.attempt && tries < MAX_QUICK_TRIES && !this.#calls.signal.aborted; tries++) {
      const result = await this.#write(state.attempt);
      if (!(await this.#settle(key, ledger, state, state.attempt, result))) return;
    }
    if (state.attempt) this.#backOff(key, state);
  }

  #prepare(key: string, ledger: Ledger, state: Stored, fresh: boolean): void {
    ledger.take();
    this.#renew(key, ledger, state, fresh);
  }

  /** Makes the attempt anew from what is in flight. Only where it is known that no earlier one has landed. */
  #renew(key: string, ledger: Ledger, state: Stored, fresh: boolean): void {
    state.isOpen = false;
    state.attempt = ledger.totals.occurrences === 0 ? undefined : this.#render(ledger, state.metadata, fresh);
    if (state.attempt) return;
    // A gap or a notice alone makes no report: there is no count that it could be short of.
    ledger.restore();
    if (ledger.unwritten > 0) this.note(key, "new_report");
    else this.#forget(key);
  }

  #forget(key: string): void {
    this.#stored.delete(key);
    this.#refusals.delete(key);
    this.#parts.aggregator.drop(key);
  }

  #render(ledger: Ledger, metadata: ObjectMeta | undefined, fresh: boolean): Attempt {
    const { writerId, render } = this.#options;
    const watermark = writerId === undefined ? undefined : `${writerId}/${++this.#sequence}`;
    return {
      report: buildReport(ledger, renderReport(ledger, render()), metadata, watermark),
      watermark,
      fresh,
    };
  }

  async #write(attempt: Attempt): Promise<WriteResult> {
    const { clock, sink } = this.#parts;
    const startMs = clock.nowMs();
    const result = await sink.write(attempt.report, this.#calls.signal);
    this.#parts.onResult(result.kind, clock.nowMs() - startMs);
    return result;
  }

  /** Acts on an answer; returns whether the attempt is to be tried again at once. */
  async #settle(
    key: string,
    ledger: Ledger,
    state: Stored,
    attempt: Attempt,
    result: WriteResult,
  ): Promise<boolean> {
    switch (result.kind) {
      case "written":
        this.#landed(key, ledger, state, attempt, result.report);
        return false;
      case "conflict":
        return await this.#resolveConflict(key, ledger, state, attempt);
      case "gone":
        this.#rebase(key, ledger, state, attempt, undefined);
        return true;
      case "namespace_gone":
        this.#leaveNamespace(key, ledger);
        return false;
      case "too_large":
        if (state.isOpen) return await this.#resolveConflict(key, ledger, state, attempt);
        return this.#shrink(key, ledger, state, attempt, result.message);
      case "retry":
      case "unknown":
        // An error of the server may come after it has stored the object, too.
        state.isOpen = true;
        this.#backOff(key, state, result.kind === "retry" ? result.retryAfterMs : undefined);
        return false;
      case "refused":
        this.#refused(key, ledger, state, result.message);
        return false;
      default:
        return unreachable(result);
    }
  }

  #landed(key: string, ledger: Ledger, state: Stored, attempt: Attempt, report: Report): void {
    state.metadata = report.metadata;
    state.attempt = undefined;
    state.isOpen = false;
    state.failures = 0;
    this.#refusals.delete(key);
    this.#parts.onLanded(ledger, report);
    ledger.commit();
    this.#schedule.written(key, attempt.fresh, this.#parts.clock.nowMs());
  }

  async #resolveConflict(key: string, ledger: Ledger, state: Stored, attempt: Attempt): Promise<boolean> {
    const read = await this.#parts.sink.read(refOf(ledger), this.#calls.signal);
    switch (read.kind) {
      case "found":
        return this.#compare(key, ledger, state, attempt, read.report);
      case "absent":
        this.#rebase(key, ledger, state, attempt, undefined);
        return true;
      case "retry":
        this.#backOff(key, state, read.retryAfterMs);
        return false;
      case "refused":
        this.#refused(key, ledger, state, read.message);
        return false;
      default:
        return unreachable(read);
    }
  }

  /** Tells what a conflict was: our own write that had landed, a change of labels, or another writer's counts. */
  #compare(key: string, ledger: Ledger, state: Stored, attempt: Attempt, found: Report): boolean {
    const watermark = watermarkOf(found.metadata);
    if (watermark !== undefined && watermark === attempt.watermark) {
      this.#landed(key, ledger, state, attempt, found);
      return false;
    }
    if (found.policy.name !== ledger.policyName) {
      state.isOpen = false;
      const message = `the object tells of another policy, ${found.policy.name}; delete it to have it written anew`;
      this.#refused(key, ledger, state, message);
      return false;
    }
    const ours = state.metadata && watermark !== undefined && watermark === watermarkOf(state.metadata);
    if (ours && found.metadata.uid === state.metadata?.uid) {
      const { violations, policy, summary, coverage, omitted } = attempt.report;
      const body = { policy, summary, violations, ...(omitted ? { omitted } : {}), coverage };
      state.metadata = found.metadata;
      state.isOpen = false;
      state.attempt = { ...attempt, report: buildReport(ledger, body, found.metadata, attempt.watermark) };
    } else {
      this.#rebase(key, ledger, state, attempt, found);
    }
    return true;
  }

  #rebase(key: string, ledger: Ledger, state: Stored, attempt: Attempt, found: Report | undefined): void {
    this.#parts.aggregator.reshape(ledger, () => rebaseOn(ledger, found));
    state.metadata = found?.metadata;
    this.#renew(key, ledger, state, attempt.fresh);
  }

  #leaveNamespace(key: string, ledger: Ledger): void {
    const { logger, aggregator } = this.#parts;
    logger.info(
      { namespace: ledger.namespace, report: ledger.name },
      "namespace is gone: its counts go to the cluster report",
    );
    this.#stored.delete(key);
    this.#refusals.delete(key);
    // The pace stays: pods of a namespace that is being deleted may go on for a while.
    this.#schedule.written(key, true, this.#parts.clock.nowMs());
    aggregator.moveToCluster(key);
  }

  #shrink(key: string, ledger: Ledger, state: Stored, attempt: Attempt, message: string): boolean {
    const current = Math.min(ledger.maxBytes, JSON.stringify(attempt.report).length);
    if (current <= MIN_REPORT_BYTES) {
      this.#refused(key, ledger, state, `the report can't be made small enough: ${message}`);
      return false;
    }
    ledger.maxBytes = Math.max(MIN_REPORT_BYTES, Math.floor(current / 2));
    this.#parts.logger.warn(
      { ...refOf(ledger), maxBytes: ledger.maxBytes, answer: message },
      "the server refuses a report of this size: writing a smaller one",
    );
    state.attempt = this.#render(ledger, state.metadata, attempt.fresh);
    return true;
  }

  #refused(key: string, ledger: Ledger, state: Stored, message: string): void {
    if (!this.refusals.includes(message)) {
      this.#parts.logger.error({ ...refOf(ledger), answer: message }, "report refused: will try again");
    }
    this.#refusals.set(key, message);
    this.#backOff(key, state, RETRY_MAX_MS);
    if (state.isOpen) return;
    // Nothing was written for certain, so the next try may bring what has gathered since.
    state.attempt = undefined;
    ledger.restore();
  }

  #backOff(key: string, state: Stored, retryAfterMs = 0): void {
    const { clock } = this.#parts;
    const delayMs = RETRY_BASE_MS + fullJitter(state.failures, RETRY_BASE_MS, RETRY_MAX_MS, clock.random());
    state.failures++;
    this.retries++;
    const atMs = clock.nowMs() + Math.max(delayMs, retryAfterMs);
    this.#schedule.retry(key, atMs, state.attempt?.fresh ?? false);
  }

  #state(key: string): Stored {
    let state = this.#stored.get(key);
    if (!state) {
      state = { metadata: undefined, attempt: undefined, isOpen: false, failures: 0 };
      this.#stored.set(key, state);
    }
    return state;
  }
}

function refOf(ledger: Ledger): { namespace?: string; name: string } {
  return { ...(ledger.namespace === undefined ? {} : { namespace: ledger.namespace }), name: ledger.name };
}
