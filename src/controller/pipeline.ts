// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program between its two ends: feed → decode → aggregate → schedule → write → sink, and Events.
// Invariant: one way. The only arrow back says what has landed.

import type { Alert, RawAlert } from "../api/alert.ts";
import type { Report } from "../api/v1alpha1.ts";
import { Aggregator } from "../core/aggregate.ts";
import { DuplicateFilter, type DuplicateWindow } from "../core/duplicates.ts";
import { Memo, seededHash } from "../core/memo.ts";
import type { PaceOptions } from "../core/pace.ts";
import type { PolicyCatalog } from "../core/provenance.ts";
import { createRedactor, type RedactionOptions } from "../core/redact.ts";
import type { ReportLimits, SeverityThresholds } from "../core/report.ts";
import type { MemoryLimits } from "../core/room.ts";
import { type EpochUs, parseMicroTime } from "../core/time.ts";
import { reportKey, reportName, type Scope } from "../core/violation.ts";
import type { EventRecorder, Regarding } from "../events/event.ts";
import type { Disconnect, FeedListener, FeedRejection } from "../feed/feed.ts";
import { type Clock, fullJitter } from "../lib/clock.ts";
import { type ReportSink, SinkError } from "../sinks/sink.ts";
import type { Logger } from "../telemetry/log.ts";
import { Books, type Rejection } from "./books.ts";
import { GapEvents } from "./gap-events.ts";
import { Ingest } from "./ingest.ts";
import type { Journaling } from "./journaling.ts";
import { occurrencesOf, throttleOccurrence } from "./occurrences.ts";
import { ReportContext } from "./report-context.ts";
import { type RetentionOptions, startSweeps } from "./retention.ts";
import { type Gap, StreamCoverage } from "./stream-coverage.ts";
import { ReportWriter, type WriterParts } from "./writer.ts";

export interface PipelineOptions {
  limits: ReportLimits;
  severity: SeverityThresholds;
  pace: PaceOptions;
  writesPerSecond: number;
  writeBurst: number;
  memory: MemoryLimits;
  duplicates: DuplicateWindow;
  redaction: RedactionOptions;
  /** How long violations are kept, and how often that is looked at. */
  retention: RetentionOptions;
  /** How long a gap is before an Event tells it. Milliseconds. */
  gapEventMs: number;
  /** Names this process in each report's watermark, where there is no journal; undefined writes none. */
  writerId: string | undefined;
}

export interface PipelineParts {
  sink: ReportSink;
  events: EventRecorder;
  clock: Clock;
  logger: Logger;
  /** When an alert arrives; default: the clock's time. */
  nowUs?: () => EpochUs;
  /** What an Event about a long gap is about: the operator's own Deployment or namespace; without it there is none. */
  self?: Regarding | undefined;
  maxAheadUs?: EpochUs;
  /** Keeps what is not yet written over the death of the process. */
  journaling?: Journaling | undefined;
  /** The policy objects of the cluster; default: reports tell nothing of them. */
  policies?: PolicyCatalog | undefined;
  onRejected?: (reason: Rejection, detail: string, line: number) => void;
  onWriteResult?: WriterParts["onResult"];
  /** Called after each report that has landed. */
  onReport?: (report: Report) => void;
}

/** Enough for what a cluster repeats; past it an alert costs what the first of its kind does. */
const MEMO_BOUNDS = { maxEntries: 16_384, maxBytes: 8 * 1024 * 1024 };
const LIST_RETRY_MAX_MS = 10_000;
/** How long the reports may not know of an alert that was rejected. */
const TELL_REJECTIONS_MS = 1000;

export class Pipeline implements FeedListener {
  readonly books = new Books();
  readonly coverage = new StreamCoverage();
  readonly aggregator: Aggregator;
  readonly writer: ReportWriter;
  readonly context: ReportContext;
  /** Milliseconds since the epoch; 0 before the first alert. */
  lastAlertMs = 0;
  /** Why the stored reports can't be listed; undefined once they are. */
  listing: string | undefined = "not yet tried";
  readonly #parts: PipelineParts;
  readonly #ingest: Ingest;
  readonly #gapEvents: GapEvents;
  #tellsRejections = false;

  constructor(options: PipelineOptions, parts: PipelineParts) {
    const { clock } = parts;
    const seed = () => Math.floor(clock.random() * 2 ** 32) | 0;
    const nowUs = parts.nowUs ?? (() => clock.nowMs() * 1000);
    this.#parts = parts;
    this.#gapEvents = new GapEvents({
      events: parts.events,
      clock,
      self: parts.self,
      afterMs: options.gapEventMs,
    });
    const { journaling } = parts;
    this.aggregator = new Aggregator(
      options.memory,
      (key, urgency) => {
        this.writer.note(key, urgency);
        journaling?.wake();
      },
      journaling !== undefined,
    );
    journaling?.attach(this.aggregator, (gap) => this.coverage.lasted(gap));
    const context = new ReportContext({
      aggregator: this.aggregator,
      note: (key, urgency) => this.writer.note(key, urgency),
      policies: parts.policies,
    });
    this.context = context;
    this.writer = new ReportWriter(
      {
        pace: options.pace,
        writesPerSecond: options.writesPerSecond,
        writeBurst: options.writeBurst,
        writerId: journaling?.writerId ?? options.writerId,
      },
      {
        render: () => ({
          limits: options.limits,
          severity: options.severity,
          continuousSinceUs: optionalUs(this.coverage.continuousSinceMs),
          policies: parts.policies,
        }),
        aggregator: this.aggregator,
        sink: parts.sink,
        clock,
        logger: parts.logger,
        onResult: parts.onWriteResult ?? (() => {}),
        onAdopted: (ledger, report) => context.onAdopted(ledger, report),
        onLanded: (ledger, report) => {
          context.onStored(ledger, report);
          for (const occurrence of occurrencesOf(ledger, report)) parts.events.record(occurrence);
          parts.onReport?.(report);
        },
      },
    );
    startSweeps(options.retention, clock, (beforeUs) => {
      if (this.writer.isActive) this.aggregator.expire(beforeUs);
    });
    this.#ingest = new Ingest({
      aggregator: this.aggregator,
      duplicates: new DuplicateFilter(options.duplicates, seed()),
      memo: new Memo(MEMO_BOUNDS, seededHash(seed())),
      redact: createRedactor(options.redaction),
      books: this.books,
      nowUs,
      maxAheadUs: parts.maxAheadUs,
      onRejected: (reason, detail, line, scope) => this.#rejected(reason, detail, line, scope),
      onThrottled: (notice) => {
        const occurrence = throttleOccurrence(notice);
        if (occurrence) parts.events.record(occurrence);
      },
    });
  }

  onAlert(alert: Alert | RawAlert, line: number): void {
    this.lastAlertMs = this.#parts.clock.nowMs();
    this.#ingest.alert(alert, line);
  }

  onRejected(reason: FeedRejection, detail: string, line: number): void {
    this.#ingest.rejected(reason, detail, line);
  }

  onConnected(): void {
    for (const { kind, fromMs, toMs } of this.coverage.connected(this.#parts.clock.nowMs())) {
      this.#gapEvents.ended(kind);
      this.aggregator.endGap(kind, toUs(fromMs), toUs(toMs ?? fromMs));
    }
    this.aggregator.touchAll();
  }

  onDisconnected(disconnect: Disconnect): void {
    const gap = this.coverage.disconnected(disconnect);
    if (!gap) return;
    this.#gapEvents.began(gap);
    this.aggregator.addGap(gap.kind, toUs(gap.fromMs));
  }

  /**
   * Lists the stored reports and continues their counts; tried until it works or the signal aborts. The time in which
   * no operator ran is a gap of each of them. Alerts may come in meanwhile.
   */
  async load(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    for (let attempt = 0; !signal.aborted; attempt++) {
      try {
        const count = await this.#adoptAll(signal);
        this.listing = undefined;
        logger.info({ reports: count }, "stored reports listed: their counts go on");
        return;
      } catch (error) {
        if (!(error instanceof SinkError)) throw error;
        if (this.listing !== error.message)
          logger.error({ answer: error.message }, "reports can't be listed: will try again");
        this.listing = error.message;
        const delayMs = 500 + fullJitter(attempt, 500, LIST_RETRY_MAX_MS, clock.random());
        await clock.sleep(Math.max(delayMs, error.retryAfterMs ?? 0), signal);
      }
    }
  }

  async #adoptAll(signal: AbortSignal): Promise<number> {
    const reports: Report[] = [];
    for await (const report of this.#parts.sink.list(signal)) reports.push(report);
    const ours = reports.filter((report) => report.metadata.name === reportName(report.policy.name));
    const { journaling, clock } = this.#parts;
    if (ours.length === 0 && !journaling?.unclaimed.length) {
      journaling?.gapTold();
      return 0;
    }
    const gap = this.coverage.notRunningSince((journaling?.readUntilMs ?? lastSeenMs(ours)) || clock.nowMs());
    this.#gapEvents.began(gap);
    for (const report of ours) this.#adopt(report.metadata.namespace, report.policy.name, report, gap);
    for (const { namespace, policyName } of journaling?.unclaimed ?? []) {
      this.#adopt(namespace, policyName, undefined, gap);
    }
    journaling?.gapTold();
    return ours.length;
  }

  /** Continues a report: what is stored, and what the journal holds beyond it. */
  #adopt(
    namespace: string | undefined,
    policyName: string,
    report: Report | undefined,
    { kind, fromMs, toMs }: Gap,
  ): void {
    const { journaling } = this.#parts;
    const key = reportKey(namespace, policyName);
    const ledger = this.aggregator.ledger(namespace, policyName);
    const recovered = this.writer.adopt(ledger, report, journaling?.claim(key) ?? []);
    if (journaling) journaling.recovered += recovered;
    ledger.addGap(kind, toUs(fromMs), toMs === undefined ? undefined : toUs(toMs));
    this.writer.note(key, recovered > 0 ? "new_violation" : "coverage");
  }

  #rejected(reason: Rejection, detail: string, line: number, scope: Scope | undefined | null): void {
    const { clock, onRejected } = this.#parts;
    onRejected?.(reason, detail, line);
    if (scope === null) return;
    // A line of a file tells nothing of when it was raised, and the reports are told at the end of the file.
    this.aggregator.addRejected(scope, line > 0 ? undefined : toUs(clock.nowMs()));
    if (line > 0 || this.#tellsRejections) return;
    // Not one by one: a flood of them must not cost a look at every report each time.
    this.#tellsRejections = true;
    clock.after(TELL_REJECTIONS_MS, () => {
      this.#tellsRejections = false;
      this.aggregator.tellRejections();
    });
  }
}

function toUs(ms: number): EpochUs {
  return Math.round(ms * 1000);
}

function optionalUs(ms: number | undefined): EpochUs | undefined {
  return ms === undefined ? undefined : toUs(ms);
}

/** The newest sign of life of the operator that wrote these. */
function lastSeenMs(reports: readonly Report[]): number {
  return reports.reduce((ms, { summary }) => Math.max(ms, (parseMicroTime(summary.lastSeen) ?? 0) / 1000), 0);
}
