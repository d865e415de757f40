// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Options and parts of an owner of partitions.

import type { Aggregator } from "../../aggregate/aggregator.ts";
import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { MemoryLimits } from "../../aggregate/memory-budget.ts";
import type { SeverityThresholds } from "../../api/severity.ts";
import type { Report } from "../../api/v1alpha1.ts";
import type { ThrottleNotice } from "../../ingest/violation/violation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { ReportContext } from "../../reconcile/report-context.ts";
import type { ReportController, ReportControllerParts } from "../../reconcile/report-controller.ts";
import type { ReportQueue } from "../../reconcile/report-queue.ts";
import type { RetentionOptions } from "../../reconcile/retention-sweep.ts";
import type { PaceOptions } from "../../reconcile/write-pace.ts";
import type { AcceptanceCatalog } from "../../report/acceptance-set.ts";
import type { PolicyCatalog } from "../../report/provenance.ts";
import type { ReportLimits } from "../../report/render.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";
import type { CheckpointTracker } from "../messages/checkpoint.ts";
import type { Bus } from "../stream/bus.ts";
import type { MovedCounts } from "./moved-counts.ts";
import type { PartitionCounters, PartitionState } from "./partition-state.ts";

/** Options of one partition: bounds over all reports are divided by the number of partitions. */
export interface OwnerOptions {
  limits: ReportLimits;
  severity: SeverityThresholds;
  shards: number;
  pace: PaceOptions;
  writesPerSecond: number;
  writeBurst: number;
  memory: MemoryLimits;
  retention: RetentionOptions;
  /** For counts that are not written at the end. */
  graceMs: number;
}

export interface OwnerParts {
  bus: Bus;
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  policies?: PolicyCatalog | undefined;
  acceptances?: AcceptanceCatalog | undefined;
  partitions: number;
  /** Lists the stored reports. Throws SinkError. */
  listReports: (signal: AbortSignal) => Promise<StoredReports>;
  /** Time since which a shard is not read, or a partition not written, as their Leases say. */
  missingSinceMs?: () => number | undefined;
  onResult: ReportControllerParts["onResult"];
  /** Called when all reports of a partition are known, and are written from now on. */
  onLoaded?: () => void;
  /** Called when the counts of a partition are dropped from memory. */
  onEnded: (life: PartitionLife) => void;
  onWritten: (ledger: Ledger, report: Report) => void;
  /** As in ControllerObserver. */
  recordWritten?: ((ledger: Ledger, report: Report) => Steps) | undefined;
  onThrottled: (notice: ThrottleNotice) => void;
  onSkipped: (partition: number, reason: keyof PartitionCounters["skipped"], detail: string) => void;
  /** Time of the API server, in milliseconds since the epoch; undefined where it is unknown. */
  otherNowMs?: () => number | undefined;
}

/** Stored reports by partition, and those that may hold counts of gone namespaces. */
export interface StoredReports {
  byPartition: ReadonlyMap<number, Report[]>;
  withMoved: readonly Report[];
}

/** Everything of one life in memory. */
export interface PartitionLife {
  stream: string;
  aggregator: Aggregator;
  queue: ReportQueue;
  controller: ReportController;
  context: ReportContext;
  state: PartitionState;
  checkpoints: CheckpointTracker;
  moved: MovedCounts;
  /** Ends this life. */
  end: AbortController;
  stopSweeps: () => void;
  /** True once the controller writes. */
  isWriting: boolean;
  /** True while the partition is held, by the clock at that moment. */
  isHeld: () => boolean;
}
