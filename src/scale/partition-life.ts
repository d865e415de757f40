// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What an owner has in memory of a partition, from one load to the next, and how it is connected.

import { Aggregator } from "../aggregate/aggregator.ts";
import { reportKey } from "../ingest/violation.ts";
import { ReportContext } from "../reconcile/report-context.ts";
import { ReportController } from "../reconcile/report-controller.ts";
import { ReportQueue } from "../reconcile/report-queue.ts";
import { startRetentionSweeps } from "../reconcile/retention-sweep.ts";
import { findPersistedSeq } from "../reconcile/watermark.ts";
import type { RenderOptions } from "../report/render.ts";
import type { ReportSink } from "../sinks/report-sink.ts";
import { type Checkpoint, CheckpointTracker } from "./checkpoint.ts";
import type { OwnerOptions, OwnerParts, PartitionLife } from "./owner-parts.ts";
import { type PartitionCounters, PartitionState, PositionNumbers } from "./partition-state.ts";

export interface LifeParts {
  partition: number;
  options: OwnerOptions;
  parts: OwnerParts;
  counters: PartitionCounters;
  /** Identity of the stream. */
  stream: string;
  checkpoint: Checkpoint;
  /** Marks of the stored reports, by reportKey. */
  marks: ReadonlyMap<string, number>;
  /** True while the partition is held, by the clock at that moment. */
  isHeld: () => boolean;
  /** Receives the position that a report holds, by its uid, after each write. */
  onPosition: (uid: string, position: number) => void;
}

/** A reader without a message for this time counts no nodes. */
const SOURCE_MS = 90_000;
const NOT_THE_OWNER = { kind: "retry", message: "not the owner of the partition" } as const;

/** Builds everything of a partition; nothing is read or written yet. */
export function beginLife(life: LifeParts): PartitionLife {
  const { partition, options, parts, counters, stream, checkpoint, marks, isHeld, onPosition } = life;
  const { clock, logger, policies, acceptances } = parts;
  const end = new AbortController();
  const numbers = new PositionNumbers();
  const queue = new ReportQueue(options.pace, clock);
  const aggregator = new Aggregator(options.memory, (key, urgency) => queue.add(key, urgency), {
    numbers,
    keepsNone: true,
  });
  const state = new PartitionState({
    stream,
    aggregator,
    numbers,
    marks,
    checkpoint,
    counters,
    onCoverage: (key) => queue.add(key, "coverage"),
    onSkipped: (reason, detail) => parts.onSkipped(partition, reason, detail),
    onThrottled: parts.onThrottled,
  });
  const checkpoints = new CheckpointTracker();
  const controller = new ReportController(
    { ...options, writerId: stream },
    {
      aggregator,
      queue,
      clock,
      logger,
      sink: guard(parts.sink, isHeld),
      render: () => createRenderOptions(options, parts, state),
      onResult: parts.onResult,
      onOvertaken: () => {
        logger.warn({ partition }, "report written by another owner, loading again");
        end.abort();
        return { kind: "requeue", afterMs: 0, fresh: false };
      },
      leaveNamespace: (key) => dropReport(aggregator, key, counters),
    },
  );
  const context = new ReportContext({ aggregator, queue, policies, acceptances });
  controller.observe({
    onWritten: (ledger, report) => {
      const position = findPersistedSeq(report.metadata, stream);
      checkpoints.onWritten(reportKey(ledger.namespace, ledger.policyName), position);
      onPosition(report.metadata.uid ?? "", position);
      parts.onWritten(ledger, report);
    },
    onForeignBase() {},
    onAdopted() {},
  });
  controller.observe(context);
  const stopSweeps = startRetentionSweeps(options.retention, {
    ...parts,
    sweep: (...bounds) => {
      if (controller.isActive) aggregator.expire(...bounds);
    },
  });
  const rest = { stream, aggregator, queue, controller, context, state, checkpoints, end };
  return { ...rest, stopSweeps, isWriting: false };
}

/** The counts of a namespace that is gone have no report to go to: the cluster's may be another owner's. */
function dropReport(aggregator: Aggregator, key: string, counters: PartitionCounters): void {
  const ledger = aggregator.ledgers.get(key);
  if (!ledger) return;
  counters.dropped += ledger.unwritten;
  ledger.drain();
  aggregator.drop(key);
}

function createRenderOptions(
  { limits, severity }: OwnerOptions,
  { clock, policies, acceptances }: OwnerParts,
  state: PartitionState,
): RenderOptions {
  const nodes = state.nodes(clock.nowMs() - SOURCE_MS);
  return { limits, severity, continuousSinceUs: undefined, nodes, policies, acceptances };
}

/** Passes writes only while the partition is held, by the clock at that moment. */
function guard(sink: ReportSink, isHeld: () => boolean): ReportSink {
  return {
    list: (signal) => sink.list(signal),
    read: (ref, signal) => sink.read(ref, signal),
    write: async (report, signal) => (isHeld() ? await sink.write(report, signal) : NOT_THE_OWNER),
    remove: async (ref, version, signal) =>
      isHeld() ? await sink.remove(ref, version, signal) : NOT_THE_OWNER,
  };
}
