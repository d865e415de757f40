// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Options of the pipeline, and the parts it is connected to.

import type { MemoryLimits } from "../../aggregate/memory-budget.ts";
import type { SeverityThresholds } from "../../api/severity.ts";
import type { CoveredNodes, Report } from "../../api/v1alpha1.ts";
import type { EventRecorder, Regarding } from "../../events/event-recorder.ts";
import type { DuplicateWindow } from "../../ingest/duplicates.ts";
import type { RedactionOptions } from "../../ingest/evidence/redact.ts";
import type { Rejection } from "../../ingest/ingest-counters.ts";
import type { Journaling } from "../../journal/journal-writer.ts";
import type { StandbyOptions } from "../../leadership/takeover-parts.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { ReportControllerParts } from "../../reconcile/report-controller.ts";
import type { RetentionOptions } from "../../reconcile/retention-sweep.ts";
import type { PaceOptions } from "../../reconcile/write-pace.ts";
import type { AcceptanceCatalog } from "../../report/acceptance-set.ts";
import type { PolicyCatalog } from "../../report/provenance.ts";
import type { ReportLimits } from "../../report/render.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";

export interface PipelineOptions {
  limits: ReportLimits;
  severity: SeverityThresholds;
  pace: PaceOptions;
  writesPerSecond: number;
  writeBurst: number;
  memory: MemoryLimits;
  duplicates: DuplicateWindow;
  redaction: RedactionOptions;
  /** Retention of violations and the interval of the sweep. */
  retention: RetentionOptions;
  /** Milliseconds; a gap that lasts this long is reported by an Event. */
  gapEventMs: number;
  /** Names this process in each report's marks, where there is no journal; undefined writes none. */
  writerId: string | undefined;
  /** Set where other replicas may exist: this one begins as a standby and counts for itself from `load` on. */
  standby?: StandbyOptions;
}

export interface PipelineParts {
  sink: ReportSink;
  events: EventRecorder;
  clock: Clock;
  logger: Logger;
  /** Arrival time of an alert; default: the clock's time. */
  nowUs?: () => EpochUs;
  /**
   * Object of an Event about a long gap: the operator's own Deployment or namespace; without it there is no such Event.
   */
  self?: Regarding | undefined;
  maxAheadUs?: EpochUs;
  /** Keeps pending counts when the process is killed. */
  journaling?: Journaling | undefined;
  /** Time of the API server, in milliseconds since the epoch; default: unknown. */
  otherNowMs?: (() => number | undefined) | undefined;
  /** Policy objects of the cluster; default: reports do not mention them. */
  policies?: PolicyCatalog | undefined;
  /** Acceptances to apply; default: none. */
  acceptances?: AcceptanceCatalog | undefined;
  onRejected?: (reason: Rejection, detail: string, line: number) => void;
  /** Nodes that are read directly; returns undefined where the relay is read. Default: the relay. */
  nodes?: (() => CoveredNodes | undefined) | undefined;
  onWriteResult?: ReportControllerParts["onResult"];
  /** Called after each report that was written. */
  onReport?: (report: Report) => void;
}
