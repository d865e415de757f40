// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Brings one report up to date: take → render → write → commit, or find out what stands in the way.
// Invariant: an attempt whose fate is unknown is sent again as it is until the store tells that it landed or that it
// did not; only then are its counts committed or put back. So nothing is counted twice and nothing is skipped.

import type { Ledger } from "../aggregate/ledger.ts";
import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import { unreachable } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { type RenderOptions, renderInSteps } from "../report/render.ts";
import type { ReportSink, WriteResult } from "../sinks/report-sink.ts";
import { marksOf, persistedSeq, sameWrite } from "./watermark.ts";
import { type Attempt, buildReport } from "./write-attempt.ts";

/** What became of a report's turn. */
export type ReconcileResult =
  /** The report is written; `fresh` tells whether it brought a new violation. */
  | { kind: "landed"; fresh: boolean }
  /** Try again later, after at least `afterMs` milliseconds. */
  | { kind: "later"; afterMs: number; fresh: boolean }
  /** Nothing stands in the store any more, but new counts have come: write a new report. */
  | { kind: "anew" }
  /** There is no count to tell. */
  | { kind: "empty" }
  /** The namespace is gone. */
  | { kind: "namespace_gone" };

export interface ReportTaskParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  render: () => RenderOptions;
  /** Names the writer in the watermark; undefined where the sink keeps none. */
  writerId: string | undefined;
  /** Makes a stored report (or nothing) the base of the ledger. */
  rebase: (ledger: Ledger, report: Report | undefined) => void;
  /** Called before the commit; no count that came before `takenMs` is left out of the write. */
  onPersisted: (ledger: Ledger, report: Report, takenMs: number) => void;
  /** Called when a report that was too old has been removed. */
  onRemoved: () => void;
  onResult: (kind: WriteResult["kind"], durationMs: number) => void;
}

/** Tries of one turn that follow each other at once: a conflict or a shrink is answered, not waited out. */
const MAX_QUICK_TRIES = 8;
/** No report is cut below this: it holds the summary and a violation or two. */
const MIN_REPORT_BYTES = 4096;
/** Between tries of what only a person can mend. */
const REFUSED_RETRY_MS = 15_000;

export class ReportReconciler {
  readonly ledger: Ledger;
  /** Of the stored object; undefined when there is none, or it was never seen. */
  metadata: ObjectMeta | undefined;
  /** Why the report is refused, as long as it is. */
  refusal: string | undefined;
  readonly #parts: ReportTaskParts;
  #attempt: Attempt | undefined;
  #takenMs = 0;
  /** Whether an earlier try of the attempt may have landed: until a read tells, its counts are not put back. */
  #isOpen = false;
  /** Whether an earlier process may have sent what is in flight, with more in it than was recovered. */
  #isRecovered = false;

  constructor(ledger: Ledger, parts: ReportTaskParts) {
    this.ledger = ledger;
    this.#parts = parts;
  }

  /** Goes on from the stored object, and from what an earlier process left in flight; before the first turn. */
  resume(metadata: ObjectMeta | undefined): void {
    this.metadata = metadata;
    this.#isRecovered = this.ledger.isInFlight;
  }

  /** Takes one turn. Never rejects. */
  async run(fresh: boolean, signal: AbortSignal): Promise<ReconcileResult> {
    if (!this.#attempt && this.ledger.isOver && this.metadata)
      return await this.#remove(this.metadata, signal);
    if (!this.#attempt) {
      if (!this.ledger.isInFlight) {
        this.ledger.take();
        this.#takenMs = this.#parts.clock.nowMs();
      }
      const over = await this.#renew(fresh);
      if (over) return over;
      this.#isOpen = this.#isRecovered;
    }
    for (let tries = 0; tries < MAX_QUICK_TRIES && !signal.aborted; tries++) {
      const verdict = await this.#try(signal);
      if (verdict) return verdict;
    }
    return this.#later();
  }

  /** Sends the attempt once; returns undefined when it is to be tried again at once. */
  async #try(signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const attempt = this.#attempt as Attempt;
    const result = await this.#write(attempt, signal);
    switch (result.kind) {
      case "written":
        return this.#persisted(attempt, result.report);
      case "conflict":
        return await this.#resolveConflict(attempt, signal);
      case "gone":
        return await this.#rebase(attempt, undefined);
      case "namespace_gone":
        return { kind: "namespace_gone" };
      case "too_large":
        // Where an earlier try may have landed, that is to be known before the content changes.
        if (this.#isOpen) return await this.#resolveConflict(attempt, signal);
        return await this.#shrink(attempt, result.message);
      case "retry":
      case "unknown":
        // An error of the server may come after it has stored the object, too.
        this.#isOpen = true;
        return this.#later(result.kind === "retry" ? result.retryAfterMs : undefined);
      case "refused":
        return this.#refused(result.message);
      default:
        return unreachable(result);
    }
  }

  async #write(attempt: Attempt, signal: AbortSignal): Promise<WriteResult> {
    const { clock, sink, onResult } = this.#parts;
    const startMs = clock.nowMs();
    const result = await sink.write(attempt.report, signal);
    onResult(result.kind, clock.nowMs() - startMs);
    return result;
  }

  /** Makes the attempt anew from what is in flight. Only where it is known that no earlier one has landed. */
  async #renew(fresh: boolean): Promise<ReconcileResult | undefined> {
    const { ledger } = this;
    this.#isOpen = false;
    this.#attempt = ledger.totals.occurrences === 0 ? undefined : await this.#render(fresh);
    if (this.#attempt) return undefined;
    // A gap or a notice alone makes no report: there is no count that it could be short of.
    ledger.restore();
    return { kind: ledger.unwritten > 0 ? "anew" : "empty" };
  }

  async #render(fresh: boolean): Promise<Attempt> {
    const { clock, writerId: id, render } = this.#parts;
    const mark = id === undefined ? undefined : { id, seq: this.ledger.inFlightSeq };
    const steps = renderInSteps(this.ledger, render());
    let step = steps.next();
    // Alerts do not wait until a large report is made.
    for (; !step.done; step = steps.next()) await clock.turn();
    return { report: buildReport(this.ledger, step.value, this.metadata, mark), mark, fresh };
  }

  #persisted(attempt: Attempt, report: Report): ReconcileResult {
    this.metadata = report.metadata;
    this.refusal = undefined;
    this.#attempt = undefined;
    this.#isOpen = false;
    this.#isRecovered = false;
    this.#parts.onPersisted(this.ledger, report, this.#takenMs);
    this.ledger.commit();
    return { kind: "landed", fresh: attempt.fresh };
  }

  async #resolveConflict(attempt: Attempt, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const read = await this.#parts.sink.read(refOf(this.ledger), signal);
    switch (read.kind) {
      case "found":
        return await this.#compare(attempt, read.report);
      case "absent":
        return await this.#rebase(attempt, undefined);
      case "retry":
        return this.#later(read.retryAfterMs);
      case "refused":
        return this.#refused(read.message);
      default:
        return unreachable(read);
    }
  }

  /** Tells what a conflict was: our own write that had landed, a change of labels, or another writer's counts. */
  async #compare(attempt: Attempt, found: Report): Promise<ReconcileResult | undefined> {
    const { mark } = attempt;
    if (mark && persistedSeq(found.metadata, mark.id) === mark.seq) return this.#foundLanded(attempt, found);
    if (found.policy.name !== this.ledger.policyName) {
      this.#isOpen = false;
      return this.#refused(
        `the object tells of another policy, ${found.policy.name}; delete it to have it written anew`,
      );
    }
    const isKnown = sameWrite(found.metadata, this.metadata) && found.metadata.uid === this.metadata?.uid;
    if (!isKnown) return await this.#rebase(attempt, found);
    this.metadata = found.metadata;
    this.#isOpen = false;
    const report = buildReport(this.ledger, attempt.report, found.metadata, mark);
    this.#attempt = { ...attempt, report };
    return undefined;
  }

  /**
   * The write had landed unseen. Where another writer has written on top of it, or an earlier process brought it, the
   * stored report may say more than is known here.
   */
  #foundLanded(attempt: Attempt, found: Report): ReconcileResult {
    const saysMore = this.#isRecovered || marksOf(found.metadata)[0]?.id !== attempt.mark?.id;
    const verdict = this.#persisted(attempt, found);
    if (saysMore) this.#parts.rebase(this.ledger, found);
    return verdict;
  }

  async #rebase(attempt: Attempt, found: Report | undefined): Promise<ReconcileResult | undefined> {
    this.#parts.rebase(this.ledger, found);
    this.metadata = found?.metadata;
    // What another replica tells as well was left out, and the rest is a new set.
    if (!this.ledger.isInFlight) this.ledger.take();
    return await this.#renew(attempt.fresh);
  }

  /** Removes the stored report, in which everything is too old to be kept. */
  async #remove({ uid, resourceVersion }: ObjectMeta, signal: AbortSignal): Promise<ReconcileResult> {
    const { sink, logger, onRemoved } = this.#parts;
    const result = await sink.remove(refOf(this.ledger), { uid, resourceVersion }, signal);
    switch (result.kind) {
      case "removed":
        logger.info(
          refOf(this.ledger),
          "report removed: nothing in it was seen for the time that it is kept",
        );
        onRemoved();
        return this.#afterRemoval();
      case "absent":
        return this.#afterRemoval();
      case "conflict":
        return await this.#reconsider(signal);
      case "retry":
      case "unknown":
        return this.#later(result.kind === "retry" ? result.retryAfterMs : undefined);
      case "refused":
        this.refusal = result.message;
        return this.#later(REFUSED_RETRY_MS);
      default:
        return unreachable(result);
    }
  }

  #afterRemoval(): ReconcileResult {
    this.refusal = undefined;
    this.metadata = undefined;
    this.#parts.rebase(this.ledger, undefined);
    // Alerts may have come since: they begin a new report.
    return { kind: this.ledger.unwritten > 0 ? "anew" : "empty" };
  }

  /** Somebody changed the report that was to be removed: what it now tells is what counts, until the next sweep. */
  async #reconsider(signal: AbortSignal): Promise<ReconcileResult> {
    const read = await this.#parts.sink.read(refOf(this.ledger), signal);
    if (read.kind === "absent") return this.#afterRemoval();
    if (read.kind === "found") {
      this.#parts.rebase(this.ledger, read.report);
      this.metadata = read.report.metadata;
    }
    return this.#later(read.kind === "retry" ? read.retryAfterMs : undefined);
  }

  async #shrink(attempt: Attempt, message: string): Promise<ReconcileResult | undefined> {
    const { ledger } = this;
    const current = Math.min(ledger.maxBytes, JSON.stringify(attempt.report).length);
    if (current <= MIN_REPORT_BYTES) {
      return this.#refused(`the report can't be made small enough: ${message}`);
    }
    ledger.maxBytes = Math.max(MIN_REPORT_BYTES, Math.floor(current / 2));
    this.#parts.logger.warn(
      { ...refOf(ledger), maxBytes: ledger.maxBytes, answer: message },
      "the server refuses a report of this size: writing a smaller one",
    );
    this.#attempt = await this.#render(attempt.fresh);
    return undefined;
  }

  #refused(message: string): ReconcileResult {
    this.refusal = message;
    const verdict = this.#later(REFUSED_RETRY_MS);
    // Nothing was written for certain, so the next try may be made anew.
    if (!this.#isOpen) this.#attempt = undefined;
    return verdict;
  }

  #later(afterMs = 0): ReconcileResult {
    return { kind: "later", afterMs, fresh: this.#attempt?.fresh ?? false };
  }
}

/** Where the report of a ledger is kept. */
export function refOf(ledger: Ledger): { namespace?: string; name: string } {
  return { ...(ledger.namespace === undefined ? {} : { namespace: ledger.namespace }), name: ledger.name };
}
