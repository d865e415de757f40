// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The program between its two ends: alerts → ingest → aggregate → reconcile → sink, and Events. The stages and the order
// in which they are built stand in pipeline-stages.ts.

import type { Aggregator } from "../../aggregate/aggregator.ts";
import type { StreamCoverage } from "../../aggregate/gaps/stream-coverage.ts";
import type { AlertListener } from "../../alerts/alert-source.ts";
import type { Alert, RawAlert } from "../../api/alert.ts";
import type { Disconnect, SourceRejection } from "../../api/alert-stream.ts";
import { createThrottleUpdate } from "../../events/event-updates.ts";
import type { Ingest } from "../../ingest/ingest.ts";
import type { IngestCounters, Rejection } from "../../ingest/ingest-counters.ts";
import type { Scope } from "../../ingest/violation/violation.ts";
import type { LeaderTakeover } from "../../leadership/leader-takeover.ts";
import type { PreviousLeader } from "../../leadership/takeover-parts.ts";
import { toEpochUs } from "../../lib/time.ts";
import type { ReportContext } from "../../reconcile/report-context.ts";
import type { ReportController } from "../../reconcile/report-controller.ts";
import type { PipelineOptions, PipelineParts } from "./pipeline-parts.ts";
import { createIngest, createStages, type PipelineStages } from "./pipeline-stages.ts";

export type { PipelineOptions, PipelineParts };

/** Milliseconds until a rejected alert is recorded in the reports. */
const REPORT_REJECTIONS_MS = 1000;

export class Pipeline implements AlertListener {
  readonly counters: IngestCounters;
  readonly coverage: StreamCoverage;
  readonly aggregator: Aggregator;
  readonly controller: ReportController;
  readonly context: ReportContext;
  readonly takeover: LeaderTakeover;
  /** Milliseconds since the epoch; 0 before the first alert. */
  lastAlertMs = 0;
  readonly #parts: PipelineParts;
  readonly #stages: PipelineStages;
  readonly #ingest: Ingest;
  #isReportDue = false;

  constructor(options: PipelineOptions, parts: PipelineParts) {
    this.#parts = parts;
    const stages = createStages(options, parts);
    this.#stages = stages;
    ({ counters: this.counters, coverage: this.coverage, aggregator: this.aggregator } = stages);
    ({ controller: this.controller, context: this.context, takeover: this.takeover } = stages);
    this.#ingest = createIngest(options, parts, stages, {
      nowUs: parts.nowUs ?? (() => toEpochUs(this.lastAlertMs)),
      onRejected: (...rejection) => this.#recordRejection(...rejection),
      onThrottled: (notice) => {
        // The leader records it as well.
        const update = this.takeover.isStandingBy ? undefined : createThrottleUpdate(notice);
        if (update) parts.events.record(update);
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
    if (this.coverage.continuousSinceMs === undefined) this.takeover.onReadingBegins();
    const gaps = this.coverage.connected(nowMs);
    for (const { kind } of gaps) this.#stages.gapEvents.endGap(kind);
    this.#stages.gaps.end(gaps, nowMs, ended?.nodes);
  }

  onDisconnected(disconnect: Disconnect): void {
    const gap = this.coverage.disconnected(disconnect);
    if (!gap || this.takeover.isStandingBy) return;
    this.#stages.gapEvents.startGap(gap);
    this.#stages.gaps.begin(gap);
    this.#parts.journaling?.wake();
  }

  /** Records a stall of `ms` milliseconds that just ended: KubeArmor's buffer for this reader may have overflowed. */
  onEventLoopStall(ms: number): void {
    const { clock, logger } = this.#parts;
    const gap = this.coverage.addStall(ms, clock.nowMs());
    if (!gap) return;
    this.takeover.onReadingBegins();
    logger.warn({ seconds: Math.round(ms / 1000) }, "event loop stalled, alerts may be lost");
    if (this.takeover.isStandingBy) return;
    this.#stages.gapEvents.startGap(gap);
    this.#stages.gaps.add(gap);
    this.#parts.journaling?.wake();
  }

  /**
   * Lists the stored reports and continues their counts; retried until it succeeds or the signal aborts. Records a gap
   * in each report unless a replica read without interruption since `previous` wrote. Alerts may arrive meanwhile.
   */
  async load(signal: AbortSignal, previous?: PreviousLeader): Promise<void> {
    await this.takeover.load(signal, previous);
    if (this.takeover.listing === undefined) this.#stages.gaps.resume();
  }

  #recordRejection(reason: Rejection, detail: string, line: number, scope: Scope | undefined | null): void {
    const { clock, onRejected } = this.#parts;
    onRejected?.(reason, detail, line);
    if (scope === null) return;
    if (this.takeover.isStandingBy) {
      const us = toEpochUs(clock.nowMs());
      this.takeover.keep(() => {
        this.aggregator.gaps.addRejected(scope, us);
        this.aggregator.gaps.reportRejections();
      });
      return;
    }
    // A line of a file has no arrival time; reports are written at the end of the file.
    this.aggregator.gaps.addRejected(scope, line > 0 ? undefined : toEpochUs(clock.nowMs()));
    if (line > 0 || this.#isReportDue) return;
    // Not one by one: a flood of them must not cost a look at every report each time.
    this.#isReportDue = true;
    clock.after(REPORT_REJECTIONS_MS, () => {
      this.#isReportDue = false;
      this.aggregator.gaps.reportRejections();
    });
  }
}
