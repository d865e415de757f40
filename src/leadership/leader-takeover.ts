// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Start of counting: from the stored reports, and from the alerts that were read while another replica led. Invariant:
// the stored reports become the base of the ledgers in one step, with all that was read before it; where it is
// uncertain that this replica has read all that the previous leader had not written, every report says so.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import type { Gap, StreamCoverage } from "../aggregate/stream-coverage.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { AlertTally } from "../ingest/alert-tally.ts";
import { reportKey } from "../ingest/violation.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import { type Clock, fullJitter } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { ControllerObserver, ReportController } from "../reconcile/report-controller.ts";
import type { ReportQueue } from "../reconcile/report-queue.ts";
import { createFenceId, findPersistedSeq, type Mark, parseMarks } from "../reconcile/watermark.ts";
import { isNamedRight } from "../report/parse.ts";
import { type ReportObserver, type ReportSink, SinkError } from "../sinks/report-sink.ts";
import { applyFences } from "./fence.ts";
import { PersistedUntil, UNKNOWN_MS } from "./persisted-until.ts";
import { ReportRestore } from "./report-restore.ts";
import { Standby, type StandbyCounters, type StandbyOptions } from "./standby.ts";
import { getLastSeenMs, getNewestStart, toGapUs } from "./stored-times.ts";

/** The leader before this one, as its Lease described it last. */
export interface PreviousLeader {
  /** An earlier process of this replica: nothing that this process has read can be in its reports. */
  isSelf?: boolean;
  /** Everything that it counted before this time is in the stored reports; undefined: not known. */
  persistedUntilMs: number | undefined;
}

export interface TakeoverOptions {
  /** Undefined where there is no other replica. */
  standby: StandbyOptions | undefined;
  writerId: string | undefined;
}

export interface TakeoverParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  aggregator: Aggregator;
  coverage: StreamCoverage;
  controller: ReportController;
  queue: ReportQueue;
  journaling: Journaling | undefined;
  onGap: (gap: Gap) => void;
}

const LIST_RETRY_MAX_MS = 10_000;
/** For clocks of two nodes that differ, and for alerts that reach one replica later than the other. */
const IN_STEP_MS = 5000;

export class LeaderTakeover implements ControllerObserver {
  /** Reason for which the stored reports can't be listed; undefined once they are. */
  listing: string | undefined = "not yet tried";
  readonly #writerId: string | undefined;
  readonly #parts: TakeoverParts;
  readonly #standby: Standby | undefined;
  readonly #persistedUntil = new PersistedUntil();
  #tally: AlertTally;
  /** The gap that every report was marked with at the takeover. */
  #gap: Gap | undefined;
  #handover: (Gap & { toMs: number }) | undefined;
  #isHandoverCounted = false;
  readonly #overtaken = new Set<string>();
  readonly #restore: ReportRestore;
  #wasInStep = false;
  /** No other replica has counted what this one has read. */
  #isAlone = false;
  #readUntilMs = Number.POSITIVE_INFINITY;

  constructor(options: TakeoverOptions, parts: TakeoverParts) {
    this.#parts = parts;
    this.#writerId = options.writerId;
    this.#restore = new ReportRestore(parts, this.#overtaken);
    this.#standby = options.standby && this.#createStandby(options.standby);
    this.#tally = this.#standby ?? parts.aggregator;
  }

  /** Receiver of alerts: the standby until the overlap after a takeover is over, then the aggregator. */
  get tally(): AlertTally {
    return this.#tally;
  }

  /** True where another replica writes the reports. */
  get isStandingBy(): boolean {
    return this.#standby !== undefined && this.listing !== undefined && !this.#isAlone;
  }

  /** Observer of the reports that another replica writes; undefined where there is no other. */
  get observer(): ReportObserver | undefined {
    return this.#standby;
  }

  /** Outcomes of the alerts that were counted while another replica led; undefined where there is no other. */
  get counters(): StandbyCounters | undefined {
    return this.#standby?.counters;
  }

  /** Keeps a notice for a takeover that the leader adds to its reports now, besides alerts. */
  keep(retell: () => void): void {
    this.#standby?.keep(retell);
  }

  /** True where all that a leader with this `persistedUntilMs` has not written was read here as well. */
  isCaughtUpWith(persistedUntilMs: number | undefined): boolean {
    const { continuousSinceMs } = this.#parts.coverage;
    if (continuousSinceMs === undefined || persistedUntilMs === undefined) return false;
    return continuousSinceMs + IN_STEP_MS <= persistedUntilMs;
  }

  /** Handles the leader's new persistedUntilMs. */
  onLeaderTold(persistedUntilMs: number | undefined): void {
    const isCaughtUp = this.isCaughtUpWith(persistedUntilMs);
    if (isCaughtUp && !this.#wasInStep) this.#standby?.settle();
    this.#wasInStep = isCaughtUp;
  }

  /**
   * Everything counted before this time is in the stored reports; undefined before `load`. Published to a successor.
   */
  get persistedUntilMs(): number | undefined {
    if (this.listing !== undefined) return undefined;
    const { aggregator, clock } = this.#parts;
    return Math.min(this.#persistedUntil.look(aggregator.ledgers, clock.nowMs()), this.#readUntilMs);
  }

  onWritten({ namespace, policyName }: Ledger, _report: Report, takenMs: number): void {
    this.#persistedUntil.markPersisted(reportKey(namespace, policyName), takenMs);
  }

  onAdopted(): void {}

  /**
   * Handles a late write of another replica that has become the base of `ledger`, with `more` occurrences than the one
   * before.
   */
  onForeignBase(ledger: Ledger, report: Report, more: number): void {
    if (!this.#standby || this.#isAlone) return;
    this.#standby.leaveOut(ledger, report, more);
    this.#tally = this.#standby;
  }

  /** From now on nothing is read any more. */
  onReadingEnds(): void {
    this.#readUntilMs = Math.min(this.#readUntilMs, this.#parts.clock.nowMs());
  }

  /** Lists the stored reports and continues their counts; tried until it works or the signal aborts. */
  async load(signal: AbortSignal, previous?: PreviousLeader): Promise<void> {
    const { clock, logger } = this.#parts;
    if (previous?.isSelf) await this.#countAtOnce();
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const listed = await this.#list(signal);
        this.#recordOvertaken(listed);
        const stored = await this.#writeFences(listed, signal);
        if (signal.aborted) return;
        await this.#continue(stored, previous);
        this.listing = undefined;
        return;
      } catch (error) {
        if (!(error instanceof SinkError)) throw error;
        if (signal.aborted) return;
        if (this.listing !== error.message)
          logger.error({ answer: error.message }, "reports can't be listed: will try again");
        this.listing = error.message;
        const delayMs = 500 + fullJitter(attempt, 500, LIST_RETRY_MAX_MS, clock.random());
        await clock.sleep(Math.max(delayMs, error.retryAfterMs ?? 0), signal);
      }
    }
  }

  /** Counts without a comparison from now on: what this process has read no other has counted. */
  async #countAtOnce(): Promise<void> {
    if (!this.#standby || this.#isAlone) return;
    this.#isAlone = true;
    this.#tally = this.#parts.aggregator;
    await this.#standby.releaseAll();
  }

  async #list(signal: AbortSignal): Promise<Report[]> {
    const reports: Report[] = [];
    for await (const report of this.#parts.sink.list(signal)) if (isNamedRight(report)) reports.push(report);
    return reports;
  }

  /** Notes the reports that another writer has written last, before a fence puts this writer's name there. */
  #recordOvertaken(listed: readonly Report[]): void {
    for (const { metadata, policy } of listed) {
      const last = parseMarks(metadata)[0]?.id;
      if (this.#standby && last !== this.#writerId)
        this.#overtaken.add(reportKey(metadata.namespace, policy.name));
    }
  }

  async #writeFences(listed: readonly Report[], signal: AbortSignal): Promise<readonly Report[]> {
    const standby = this.#standby;
    const writerId = this.#writerId;
    if (!standby || writerId === undefined || this.#isAlone) return listed;
    const { aggregator } = this.#parts;
    const markOf = (report: Report) => this.#createFenceMark(report, writerId);
    const ledgerOf = ({ metadata, policy }: Report) => aggregator.ledger(metadata.namespace, policy.name);
    return await applyFences(
      listed,
      () => standby.listHeldKeys(),
      { ...this.#parts, markOf, ledgerOf },
      signal,
    );
  }

  /**
   * A fence brings no counts, so that an own mark stays as it was. Where another replica has written since, counts that
   * this writer's journal still holds must not look as if no other had written: the mark names no writer.
   */
  #createFenceMark({ metadata, policy }: Report, writerId: string): Mark {
    const isOvertaken = this.#overtaken.has(reportKey(metadata.namespace, policy.name));
    if (isOvertaken) return { id: createFenceId(writerId), seq: 1 };
    return { id: writerId, seq: findPersistedSeq(metadata, writerId) };
  }

  async #continue(stored: readonly Report[], previous: PreviousLeader | undefined): Promise<void> {
    const { aggregator, clock, coverage, journaling, logger } = this.#parts;
    const nowMs = clock.nowMs();
    const fromMs = previous?.persistedUntilMs;
    const isCaughtUp = this.isCaughtUpWith(fromMs);
    const isRestart = !isCaughtUp && (stored.length > 0 || journaling?.mayHaveLost);
    const lastMs = fromMs || journaling?.readUntilMs || getLastSeenMs(stored) || nowMs;
    this.#handover = { kind: "Handover", fromMs: Math.min(fromMs ?? nowMs, nowMs), toMs: nowMs };
    await this.#restore.run(stored, isRestart ? lastMs : nowMs);
    if (isRestart) this.#declareRestart(lastMs);
    if (isCaughtUp) coverage.continueFrom(getNewestStart(stored));
    for (const key of this.#restore.leftToOther) this.#declareHandover(...key);
    if (journaling?.isDamaged) {
      const toMs = journaling.readUntilMs ?? nowMs;
      aggregator.addGapToLaterReports(toGapUs({ kind: "JournalUnavailable", fromMs: toMs, toMs }));
    }
    journaling?.markGapRecorded();
    const takenOver = this.#isAlone ? undefined : await this.#standby?.takeOver(stored, fromMs ?? UNKNOWN_MS);
    const sinceMs = stored.length > 0 ? (fromMs ?? UNKNOWN_MS) : (coverage.continuousSinceMs ?? nowMs);
    this.#persistedUntil.begin(sinceMs);
    const fields = { reports: stored.length, gap: this.#gap !== undefined };
    logger.info(
      takenOver === undefined ? fields : { ...fields, takenOver, ...this.counters },
      "stored reports loaded",
    );
  }

  /** Declares that no operator ran: in every report that is continued, and where counts may be lost in later ones. */
  #declareRestart(lastMs: number): void {
    const { aggregator, coverage, journaling, onGap } = this.#parts;
    this.#gap = coverage.addNotRunning(lastMs);
    onGap(this.#gap);
    const { kind, fromUs, toUs: endUs } = toGapUs(this.#gap);
    aggregator.addGap(kind, fromUs, endUs, (ledger) => this.#restore.has(ledger));
    if (journaling?.mayHaveLost) aggregator.addGapToLaterReports({ kind, fromUs, toUs: endUs });
  }

  #createStandby(options: StandbyOptions): Standby {
    const { aggregator, clock } = this.#parts;
    return new Standby(options, {
      aggregator,
      clock,
      onMissing: (namespace, policyName) => this.#declareHandover(namespace, policyName),
      onOver: () => {
        this.#tally = aggregator;
      },
    });
  }

  #declareHandover(namespace: string | undefined, policyName: string): void {
    const { aggregator, coverage } = this.#parts;
    const ledger = aggregator.ledgers.get(reportKey(namespace, policyName));
    // Those that were continued have the gap already where no operator ran.
    if (this.#gap && this.#restore.has(ledger)) return;
    const gap = this.#gap ?? this.#handover;
    if (!gap) return;
    if (gap === this.#handover && !this.#isHandoverCounted) {
      coverage.lasted(this.#handover);
      this.#isHandoverCounted = true;
    }
    aggregator.addGapTo(namespace, policyName, toGapUs(gap));
  }
}
