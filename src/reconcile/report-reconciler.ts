// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reconciles one report: take → render → write → commit, or find out what prevents it. The states are in
// reconcile-steps.ts.

import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { toReportText } from "../api/report-text.ts";
import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import { unreachable } from "../lib/assert.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { runInTurns, type Steps } from "../lib/pacing/steps.ts";
import { type EpochUs, toEpochUs } from "../lib/time.ts";
import { renderInSteps } from "../report/render.ts";
import type { WriteResult } from "../sinks/report-sink.ts";
import { findPersistedSeq, isSameWrite, parseMarks } from "./marks.ts";
import { type AttemptState, type ReconcileResult, readMessage, STEPS } from "./reconcile-steps.ts";
import type { ReconcilerParts } from "./reconciler-parts.ts";
import { type Attempt, buildReport, countWrites, limitBytes, toReportRef } from "./write-attempt.ts";

/** Tries of one turn that follow each other at once: a conflict or a shrink needs no pause. */
const MAX_QUICK_TRIES = 8;
/** Reports are not shrunk below this: it holds the summary and a violation or two. */
const MIN_REPORT_BYTES = 4096;
/** Pause after a refusal that only a person can resolve. */
const REFUSED_RETRY_MS = 15_000;
/** Failures in a row that are more than a short fault; they take some seconds. */
const FAILING_TRIES = 3;

export class ReportReconciler {
  readonly ledger: Ledger;
  /** Metadata of the stored object; undefined when there is none, or none was read. */
  metadata: ObjectMeta | undefined;
  /** Reason why the report is refused, while it is. */
  refusal: string | undefined;
  /** Pauses between failed turns; its owner resets it. */
  readonly retry: RetryPolicy;
  /** True where the refusal is about this report alone. */
  #isOwnRefusal = false;
  readonly #parts: ReconcilerParts;
  #attempt: Attempt | undefined;
  #state: AttemptState = "unsent";
  /** When the counts in flight were taken, and what was so then: a gap since may be in later counts only. */
  #taken: { atMs: number; continuousSinceUs: EpochUs | undefined } | undefined;
  #acceptedBytes = Number.POSITIVE_INFINITY;
  /** An earlier process may have sent the set in flight, with more in it than was recovered. */
  #isRecovered = false;

  constructor(ledger: Ledger, parts: ReconcilerParts) {
    this.ledger = ledger;
    this.#parts = parts;
    this.retry = new RetryPolicy(parts.clock);
  }

  /** The refusal that is not about this report alone. */
  get commonRefusal(): string | undefined {
    return this.#isOwnRefusal ? undefined : this.refusal;
  }

  /** True while the report is refused, or its writes fail again and again; not for a refusal of this report alone. */
  get isFailing(): boolean {
    return this.refusal === undefined ? this.retry.failures >= FAILING_TRIES : !this.#isOwnRefusal;
  }

  /** Continues from the stored object and from the set that an earlier process left in flight; before the first turn. */
  resume(metadata: ObjectMeta | undefined): void {
    this.metadata = metadata;
    this.#isRecovered = this.ledger.write.isInFlight;
  }

  /** Takes one turn. Never rejects. */
  async reconcile(fresh: boolean, signal: AbortSignal): Promise<ReconcileResult> {
    if (!this.#attempt && this.ledger.isOver && this.metadata) return await this.#remove(this.metadata, signal);
    if (!this.#attempt) {
      if (this.ledger.write.isInFlight) this.ledger.gaps.settle();
      else await this.#take();
      const over = await this.#renew(fresh);
      if (over) return over;
      this.#state = this.#isRecovered ? "uncertain" : "unsent";
    }
    for (let tries = 0; tries < MAX_QUICK_TRIES && !signal.aborted; tries++) {
      const result = await this.#send(signal);
      if (result) return result;
    }
    return this.#requeue();
  }

  async #take(): Promise<void> {
    await runInTurns(this.#takeInSteps(), this.#parts.clock);
  }

  *#takeInSteps(): Steps {
    yield* this.ledger.write.takeCells();
    yield* this.#parts.onTaking() ?? [];
    this.ledger.write.take();
    const { clock, render } = this.#parts;
    this.#taken = { atMs: clock.monotonicMs(), continuousSinceUs: render().continuousSinceUs };
  }

  /** Sends the attempt once; returns undefined when it is to be sent again at once. */
  async #send(signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const attempt = this.#attempt as Attempt;
    const result = await this.#write(attempt, signal);
    const step = STEPS[this.#state][result.kind];
    switch (step) {
      case "commit":
        return await this.#commit(attempt, result.kind === "written" ? result.report : attempt.report);
      case "compare":
        return await this.#readAndCompare(attempt, signal);
      case "rebase":
        return await this.#rebase(attempt, undefined);
      case "leave":
        await runInTurns(this.ledger.transfer.forgetCommitted(), this.#parts.clock);
        return { kind: "namespace_gone" };
      case "shrink":
        return await this.#shrink(attempt, readMessage(result));
      case "wait":
        this.#state = "uncertain";
        return this.#requeue("retryAfterMs" in result ? result.retryAfterMs : undefined);
      case "refuse":
        return this.#refuse(readMessage(result));
      default:
        return unreachable(step);
    }
  }

  async #write(attempt: Attempt, signal: AbortSignal): Promise<WriteResult> {
    const { clock, sink, spend, onResult } = this.#parts;
    const startMs = clock.monotonicMs();
    spend(countWrites(attempt.report) - 1);
    const result = await sink.write(attempt.report, signal);
    onResult(result.kind, clock.monotonicMs() - startMs);
    return result;
  }

  /** Renders a new attempt. Only where it is known that no earlier one was stored. */
  async #renew(fresh: boolean): Promise<ReconcileResult | undefined> {
    const { ledger } = this;
    this.#state = "unsent";
    this.#attempt = ledger.counts.written.occurrences === 0 ? undefined : await this.#render(fresh);
    if (this.#attempt) return undefined;
    // A gap or a notice alone makes no report: there is no count that it could be short of.
    ledger.write.restore();
    return { kind: ledger.counts.unwritten > 0 ? "recreate" : "noop" };
  }

  async #render(fresh: boolean): Promise<Attempt> {
    const { clock, writerId: id, render } = this.#parts;
    const mark = id === undefined ? undefined : { id, seq: this.ledger.sets.inFlight };
    this.#taken ??= { atMs: 0, continuousSinceUs: render().continuousSinceUs };
    const { continuousSinceUs } = this.#taken;
    const options = limitBytes({ ...render(), continuousSinceUs }, this.#acceptedBytes);
    // Alerts do not wait for a large report.
    const body = await runInTurns(renderInSteps(this.ledger, options), clock);
    return { report: buildReport(this.ledger, body, this.metadata, mark), mark, fresh };
  }

  async #commit(attempt: Attempt, report: Report): Promise<ReconcileResult> {
    this.metadata = report.metadata;
    this.refusal = undefined;
    this.#attempt = undefined;
    this.#state = "unsent";
    this.#isRecovered = false;
    await this.#parts.onWritten(this.ledger, report, this.#taken?.atMs ?? 0);
    await runInTurns(this.ledger.write.commitInSteps(), this.#parts.clock);
    return { kind: "written", fresh: attempt.fresh };
  }

  async #readAndCompare(attempt: Attempt, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const read = await this.#parts.sink.read(toReportRef(this.ledger), signal);
    if (read.kind === "found") return await this.#compare(attempt, read.report);
    if (read.kind === "absent") return await this.#rebase(attempt, undefined);
    return read.kind === "retry" ? this.#requeue(read.retryAfterMs) : this.#refuse(read.message);
  }

  /** Distinguishes the reasons of a conflict: our own write was stored, labels changed, or another writer's counts. */
  async #compare(attempt: Attempt, found: Report): Promise<ReconcileResult | undefined> {
    const { mark } = attempt;
    if (mark && findPersistedSeq(found.metadata, mark.id) === mark.seq) return await this.#commitFound(attempt, found);
    if (found.policy.name !== this.ledger.policyName) {
      this.#state = "unsent";
      return this.#refuse(
        `the stored object is a report of another policy, ${found.policy.name}; delete it to have it recreated`,
        true,
      );
    }
    const isKnown = isSameWrite(found.metadata, this.metadata) && found.metadata.uid === this.metadata?.uid;
    if (!isKnown) return await this.#rebase(attempt, found);
    this.metadata = found.metadata;
    this.#state = "unsent";
    const report = buildReport(this.ledger, attempt.report, found.metadata, mark);
    this.#attempt = { ...attempt, report };
    return undefined;
  }

  /**
   * Commits a write that was stored unseen. Where another writer has written on top of it, or an earlier process sent
   * it, the stored report may hold more than is known here.
   */
  async #commitFound(attempt: Attempt, found: Report): Promise<ReconcileResult> {
    const isRecovered = this.#isRecovered;
    const holdsMore = isRecovered || parseMarks(found.metadata)[0]?.id !== attempt.mark?.id;
    const result = await this.#commit(attempt, found);
    if (holdsMore) await this.#rebaseOn(found);
    if (isRecovered) this.ledger.gaps.addAgain(this.ledger.counts.committed.coverageGaps);
    return result;
  }

  async #rebase(attempt: Attempt, found: Report | undefined): Promise<ReconcileResult | undefined> {
    const { clock, logger, onOvertaken } = this.#parts;
    const over = found && onOvertaken?.(found, this.metadata);
    if (over) return over;
    // Retention does not reach this point: otherwise only a person or an external tool deletes reports.
    const isDeleted = this.metadata !== undefined && found === undefined;
    if (isDeleted) {
      const occurrences = this.ledger.counts.all.occurrences - this.ledger.counts.unwritten;
      logger.warn({ ...toReportRef(this.ledger), occurrences }, "report deleted, counting again from zero");
    }
    await this.#rebaseOn(found, isDeleted ? toEpochUs(clock.nowMs()) : undefined);
    this.metadata = found?.metadata;
    // Another replica's counts were subtracted, and the rest is a new set.
    if (!this.ledger.write.isInFlight) await this.#take();
    return await this.#renew(attempt.fresh);
  }

  /** Takes a stored report, or none, as the base; alerts do not wait for a large one. */
  async #rebaseOn(found: Report | undefined, deletedUs?: EpochUs): Promise<void> {
    const { clock, rebase } = this.#parts;
    await runInTurns(rebase(this.ledger, found, deletedUs), clock);
  }

  /** Removes the stored report, in which everything is beyond retention. */
  async #remove({ uid, resourceVersion }: ObjectMeta, signal: AbortSignal): Promise<ReconcileResult> {
    const { sink, logger, onRemoved } = this.#parts;
    const result = await sink.remove(toReportRef(this.ledger), { uid, resourceVersion }, signal);
    switch (result.kind) {
      case "removed":
        logger.info(toReportRef(this.ledger), "report removed by retention");
        onRemoved();
        return await this.#completeRemoval();
      case "absent":
        return await this.#completeRemoval();
      case "conflict":
        return await this.#reconsider(signal);
      case "retry":
        return this.#requeue(result.retryAfterMs);
      case "unknown":
        return this.#requeue();
      case "refused":
        return this.#refuse(result.message);
      default:
        return unreachable(result);
    }
  }

  async #completeRemoval(): Promise<ReconcileResult> {
    this.refusal = undefined;
    this.metadata = undefined;
    await this.#rebaseOn(undefined);
    return { kind: this.ledger.counts.unwritten > 0 ? "recreate" : "noop" };
  }

  /** Reads a report that was changed before its removal; its present state counts until the next sweep. */
  async #reconsider(signal: AbortSignal): Promise<ReconcileResult> {
    const { sink, onOvertaken } = this.#parts;
    const read = await sink.read(toReportRef(this.ledger), signal);
    if (read.kind === "absent") return await this.#completeRemoval();
    if (read.kind === "found") {
      const over = onOvertaken?.(read.report, this.metadata);
      if (over) return over;
      await this.#rebaseOn(read.report);
      this.metadata = read.report.metadata;
    }
    return this.#requeue(read.kind === "retry" ? read.retryAfterMs : undefined);
  }

  async #shrink(attempt: Attempt, message: string): Promise<ReconcileResult | undefined> {
    const current = Math.min(this.#acceptedBytes, toReportText(attempt.report).length);
    if (current <= MIN_REPORT_BYTES) return this.#refuse(`the report cannot be made small enough: ${message}`, true);
    this.#acceptedBytes = Math.max(MIN_REPORT_BYTES, Math.floor(current / 2));
    const fields = { ...toReportRef(this.ledger), maxBytes: this.#acceptedBytes, answer: message };
    this.#parts.logger.warn(fields, "report too large, shrinking");
    this.#attempt = await this.#render(attempt.fresh);
    return undefined;
  }

  #refuse(message: string, isOwn = false): ReconcileResult {
    this.refusal = message;
    this.#isOwnRefusal = isOwn;
    const result = this.#requeue(REFUSED_RETRY_MS);
    // Certainly not stored, so the next try may be rendered again.
    if (this.#state === "unsent") this.#attempt = undefined;
    return result;
  }

  #requeue(afterMs = 0): ReconcileResult {
    return { kind: "requeue", afterMs, fresh: this.#attempt?.fresh ?? false };
  }
}
