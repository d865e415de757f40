// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program between its two ends: feed → decode → aggregate → schedule → write → sink, and Events.
// Invariant: one way. The only arrow back says what has landed.

import { Aggregator } from "../aggregate/aggregator.ts";
import { getCellBounds } from "../aggregate/memory-budget.ts";
import { StreamCoverage, toUs } from "../aggregate/stream-coverage.ts";
import type { AlertListener } from "../alerts/alert-source.ts";
import type { Alert, RawAlert } from "../api/alert.ts";
import type { Disconnect, SourceRejection } from "../api/alert-stream.ts";
import { createThrottleUpdate, toEventUpdates } from "../events/event-updates.ts";
import { GapEvents } from "../events/gap-events.ts";
import { AlertHash } from "../ingest/alert-hash.ts";
import { CellStore } from "../ingest/cell-store.ts";
import { DuplicateFilter } from "../ingest/duplicates.ts";
import { Ingest } from "../ingest/ingest.ts";
import { IngestCounters, type Rejection } from "../ingest/ingest-counters.ts";
import { createRedactor } from "../ingest/redact.ts";
import type { Scope } from "../ingest/violation.ts";
import { LeaderTakeover, type PreviousLeader } from "../leadership/leader-takeover.ts";
import type { StandbyCounters } from "../leadership/standby.ts";
import type { EpochUs } from "../lib/time.ts";
import { ReportContext } from "../reconcile/report-context.ts";
import { type ControllerObserver, ReportController } from "../reconcile/report-controller.ts";
import { ReportQueue } from "../reconcile/report-queue.ts";
import { startRetentionSweeps } from "../reconcile/retention-sweep.ts";
import type { ReportObserver } from "../sinks/report-sink.ts";
import type { PipelineOptions, PipelineParts } from "./pipeline-parts.ts";
import { StreamGaps } from "./stream-gaps.ts";

export type { PipelineOptions, PipelineParts };

/** Milliseconds until a rejected alert is recorded in the reports. */
const TELL_REJECTIONS_MS = 1000;

export class Pipeline implements AlertListener {
  readonly counters = new IngestCounters();
  readonly coverage = new StreamCoverage();
  readonly aggregator: Aggregator;
  readonly writer: ReportController;
  readonly context: ReportContext;
  /** Milliseconds since the epoch; 0 before the first alert. */
  lastAlertMs = 0;
  readonly #parts: PipelineParts;
  readonly #ingest: Ingest;
  readonly #gapEvents: GapEvents;
  readonly #gaps: StreamGaps;
  readonly #takeover: LeaderTakeover;
  #tellsRejections = false;

  constructor(options: PipelineOptions, parts: PipelineParts) {
    const { clock } = parts;
    const seed = () => Math.floor(clock.random() * 2 ** 32) | 0;
    this.#parts = parts;
    this.#gapEvents = new GapEvents({
      events: parts.events,
      clock,
      self: parts.self,
      afterMs: options.gapEventMs,
    });
    const { journaling } = parts;
    const redact = createRedactor(options.redaction, this.counters);
    const cells = new CellStore(getCellBounds(options.memory), redact);
    const queue = new ReportQueue(options.pace, clock);
    this.aggregator = new Aggregator(
      options.memory,
      (key, urgency) => {
        queue.add(key, urgency);
        journaling?.wake();
      },
      journaling,
      cells,
    );
    this.#gaps = new StreamGaps(this.aggregator, parts.nodes && clock.nowMs());
    journaling?.attach(this.aggregator, (gap) => this.coverage.lasted(gap));
    const writerId = journaling?.writerId ?? options.writerId;
    const { policies, acceptances } = parts;
    const { aggregator, coverage } = this;
    this.writer = new ReportController(
      { ...options, writerId },
      {
        ...parts,
        aggregator,
        queue,
        render: () => ({
          limits: options.limits,
          severity: options.severity,
          continuousSinceUs: toOptionalUs(coverage.coveredSinceMs),
          nodes: parts.nodes?.(),
          policies,
          acceptances,
        }),
        onResult: parts.onWriteResult ?? (() => {}),
      },
    );
    this.context = new ReportContext({ aggregator, queue, policies, acceptances });
    startRetentionSweeps(options.retention, {
      ...parts,
      sweep: (...bounds) => {
        if (this.writer.isActive) aggregator.expire(...bounds);
      },
    });
    this.#takeover = new LeaderTakeover(
      { standby: options.standby, writerId },
      {
        ...parts,
        journaling,
        aggregator,
        coverage,
        queue,
        controller: this.writer,
        onGap: (gap) => this.#gapEvents.startGap(gap),
      },
    );
    this.writer.observe(this.#takeover);
    this.writer.observe(this.context);
    this.writer.observe(recordEvents(parts));
    this.#ingest = new Ingest({
      tally: () => this.#takeover.tally,
      hash: new AlertHash({ low: seed(), high: seed() }),
      duplicates: new DuplicateFilter(options.duplicates),
      cells,
      redact,
      limitsSearch: options.writerId !== undefined,
      counters: this.counters,
      nowUs: parts.nowUs ?? (() => toUs(this.lastAlertMs)),
      maxAheadUs: parts.maxAheadUs,
      onRejected: (reason, detail, line, scope) => this.#recordRejection(reason, detail, line, scope),
      onThrottled: (notice) => {
        // The leader records it as well.
        if (this.#takeover.isStandingBy) return;
        const occurrence = createThrottleUpdate(notice);
        if (occurrence) parts.events.record(occurrence);
      },
    });
  }

  onAlert(alert: Alert | RawAlert, line: number): void {
    this.lastAlertMs = this.#parts.clock.nowMs();
    this.#ingest.alert(alert, line);
    this.#parts.journaling?.wake();
  }

  onRejected(reason: SourceRejection, detail: string, line: number): void {
    this.#ingest.rejected(reason, detail, line);
  }

  onConnected(ended?: { nodes: number }): void {
    const nowMs = this.#parts.clock.nowMs();
    const gaps = this.coverage.connected(nowMs);
    for (const { kind } of gaps) this.#gapEvents.endGap(kind);
    this.#gaps.end(gaps, nowMs, ended?.nodes);
    this.aggregator.touchAll();
  }

  onDisconnected(disconnect: Disconnect): void {
    const gap = this.coverage.disconnected(disconnect);
    if (!gap || this.#takeover.isStandingBy) return;
    this.#gapEvents.startGap(gap);
    this.#gaps.begin(gap);
  }

  /** Records a stall of `ms` milliseconds that just ended: KubeArmor's buffer for this reader may have overflowed. */
  onEventLoopStall(ms: number): void {
    const { clock, logger } = this.#parts;
    const gap = this.coverage.stoodStill(ms, clock.nowMs());
    if (!gap) return;
    logger.warn({ seconds: Math.round(ms / 1000) }, "event loop stalled, alerts may be lost");
    if (this.#takeover.isStandingBy) return;
    this.#gapEvents.startGap(gap);
    this.aggregator.addGap(gap.kind, toUs(gap.fromMs), toUs(gap.toMs));
  }

  /**
   * Lists the stored reports and continues their counts; retried until it succeeds or the signal aborts. Records a gap
   * in each report unless a replica read without interruption since `previous` wrote. Alerts may arrive meanwhile.
   */
  async load(signal: AbortSignal, previous?: PreviousLeader): Promise<void> {
    await this.#takeover.load(signal, previous);
    this.#gaps.resume(this.coverage);
  }

  /** Reason why the stored reports can't be listed; undefined once they are. */
  get listing(): string | undefined {
    return this.#takeover.listing;
  }

  /** Receives the writes of other replicas until `load`; undefined where there is no other replica. */
  get observer(): ReportObserver | undefined {
    return this.#takeover.observer;
  }

  /** Outcomes of the alerts that were counted while another replica led; undefined where there is no other replica. */
  get standbyCounters(): StandbyCounters | undefined {
    return this.#takeover.counters;
  }

  /** As LeaderTakeover.isCaughtUpWith. */
  isCaughtUpWith(persistedUntilMs: number | undefined): boolean {
    return this.#takeover.isCaughtUpWith(persistedUntilMs);
  }

  /** As LeaderTakeover.persistedUntilMs. */
  get persistedUntilMs(): number | undefined {
    return this.#takeover.persistedUntilMs;
  }

  /** Records the time up to which the leader has persisted everything. */
  onLeaderTold(persistedUntilMs: number | undefined): void {
    this.#takeover.onLeaderTold(persistedUntilMs);
  }

  /** From now on nothing is read any more. */
  onReadingEnds(): void {
    this.#takeover.onReadingEnds();
  }

  #recordRejection(reason: Rejection, detail: string, line: number, scope: Scope | undefined | null): void {
    const { clock, onRejected } = this.#parts;
    onRejected?.(reason, detail, line);
    if (scope === null) return;
    if (this.#takeover.isStandingBy) {
      const us = toUs(clock.nowMs());
      this.#takeover.keep(() => {
        this.aggregator.addRejected(scope, us);
        this.aggregator.reportRejections();
      });
      return;
    }
    // A line of a file has no arrival time; reports are written at the end of the file.
    this.aggregator.addRejected(scope, line > 0 ? undefined : toUs(clock.nowMs()));
    if (line > 0 || this.#tellsRejections) return;
    // Not one by one: a flood of them must not cost a look at every report each time.
    this.#tellsRejections = true;
    clock.after(TELL_REJECTIONS_MS, () => {
      this.#tellsRejections = false;
      this.aggregator.reportRejections();
    });
  }
}

/** Records Events for what each write brings, and passes the report on. */
function recordEvents({ events, onReport }: PipelineParts): ControllerObserver {
  return {
    onWritten(ledger, report) {
      for (const update of toEventUpdates(ledger, report)) events.record(update);
      onReport?.(report);
    },
    onForeignBase() {},
    onAdopted() {},
  };
}

function toOptionalUs(ms: number | undefined): EpochUs | undefined {
  return ms === undefined ? undefined : toUs(ms);
}
