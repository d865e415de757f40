// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State of a partition in an owner's memory, from one load to the next, and its connections.

import { Aggregator } from "../../aggregate/aggregator.ts";
import type { ObjectMeta, Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { runInTurns } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import { notifyWritten } from "../../reconcile/controller-observer.ts";
import { findPersistedSeq } from "../../reconcile/marks.ts";
import { ReportContext } from "../../reconcile/report-context.ts";
import { ReportController } from "../../reconcile/report-controller.ts";
import { ReportQueue } from "../../reconcile/report-queue.ts";
import { startRetentionSweeps } from "../../reconcile/retention-sweep.ts";
import type { RenderOptions } from "../../report/render.ts";
import { guardSink } from "../../sinks/guarded-sink.ts";
import { type Checkpoint, CheckpointTracker } from "../messages/checkpoint.ts";
import { ShardTracker } from "../messages/shard-tracker.ts";
import { MovedCounts } from "./moved-counts.ts";
import { MOVED_ID } from "./moved-marks.ts";
import type { OwnerOptions, OwnerParts, PartitionLife } from "./owner-parts.ts";
import { type PartitionCounters, PartitionState, PositionNumbers } from "./partition-state.ts";

export interface LifeParts {
  partition: number;
  options: OwnerOptions;
  parts: OwnerParts;
  counters: PartitionCounters;
  stream: string;
  checkpoint: Checkpoint;
  /** Missing messages have no older alerts, as far as that is known. */
  sinceUs: EpochUs;
  /** Marks of the stored reports, by reportKey. */
  marks: ReadonlyMap<string, number>;
  /** Policies with a cluster report that may have moved counts. */
  moved: readonly string[];
  /** True while the partition is held, by the clock at that moment. */
  isHeld: () => boolean;
  /** Receives the position that a report holds, by its uid, after each write. */
  onPosition: (uid: string, position: number) => void;
}

/** A shard without a message for this time is not read. */
const SHARD_MS = 90_000;
const NOT_THE_OWNER = { kind: "retry", message: "not the owner of the partition" } as const;

/** Builds everything of a partition; nothing is read or written yet. */
export function beginLife(life: LifeParts): PartitionLife {
  const { partition, options, parts, counters, stream, checkpoint, sinceUs, marks, isHeld, onPosition } = life;
  const { clock, logger, policies, acceptances } = parts;
  const sink = guardSink(parts.sink, isHeld, NOT_THE_OWNER);
  const end = new AbortController();
  const numbers = new PositionNumbers();
  const queue = new ReportQueue(options.pace, clock);
  const aggregator = new Aggregator(options.memory, (key, urgency) => queue.add(key, urgency), {
    numbers,
    keepsNone: true,
  });
  const tracker = new ShardTracker(checkpoint);
  const moved = new MovedCounts(checkpoint.position, {
    ...parts,
    partition: { index: partition, count: parts.partitions },
    stream,
    marks,
    policies: life.moved,
    getPosition: () => numbers.position,
    hasLedger: (key) => aggregator.ledgers.has(key),
    onWritten: (...written) => notifyWritten([parts], written, parts.clock),
    sink,
    render: () => createRenderOptions(options, parts, tracker),
    onMovedByAnother: () => {
      logger.warn({ partition }, "counts moved by another owner, loading again");
      end.abort();
    },
    signal: end.signal,
  });
  const state = new PartitionState({
    stream,
    aggregator,
    numbers,
    shards: tracker,
    marks,
    checkpoint,
    sinceUs,
    counters,
    onLoss: (gap, seq) => moved.declare(gap, seq),
    onCoverage: (key) => queue.add(key, "coverage"),
    onSkipped: (reason, detail) => parts.onSkipped(partition, reason, detail),
    onThrottled: parts.onThrottled,
  });
  const checkpoints = new CheckpointTracker();
  const leave = (key: string) => {
    const ledger = aggregator.ledgers.get(key);
    if (!ledger) return;
    if (moved.isFull(ledger.policyName)) {
      queue.add(key, "counters");
      return;
    }
    aggregator.detach(key);
    counters.moved += ledger.counts.unwritten;
    moved.take(ledger);
    checkpoints.waitFor(toMovedKey(ledger.policyName));
  };
  const controller = new ReportController(
    { ...options, writerId: stream },
    {
      aggregator,
      queue,
      clock,
      logger,
      sink,
      render: () => createRenderOptions(options, parts, tracker),
      onResult: parts.onResult,
      onOvertaken: (found, known) => {
        if (isWithMovedCounts(found, known, stream)) return undefined;
        logger.warn({ partition }, "report written by another owner, loading again");
        end.abort();
        return { kind: "requeue", afterMs: 0, fresh: false };
      },
      leaveNamespace: leave,
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
    recordWritten: parts.recordWritten,
  });
  controller.observe(context);
  const stopSweeps = startRetentionSweeps(options.retention, {
    ...parts,
    sweep: (...bounds) => {
      if (controller.isActive) void runInTurns(aggregator.expire(...bounds), parts.clock);
    },
  });
  const rest = { stream, aggregator, queue, controller, context, state, checkpoints, moved, end, isHeld };
  return { ...rest, stopSweeps, isWriting: false };
}

/** Stands in checkpoints for the cluster report of a policy while it lacks counts that were moved. */
export function toMovedKey(policyName: string): string {
  return `${MOVED_ID} ${policyName}`;
}

/** True where others have brought moved counts only: the report holds of the stream what it held before. */
function isWithMovedCounts(found: Report, known: ObjectMeta | undefined, stream: string): boolean {
  const isSameObject = known === undefined || known.uid === found.metadata.uid;
  return isSameObject && findPersistedSeq(found.metadata, stream) === findPersistedSeq(known, stream);
}

function createRenderOptions(
  { limits, severity, shards }: OwnerOptions,
  { clock, policies, acceptances, missingSinceMs }: OwnerParts,
  tracker: ShardTracker,
): RenderOptions {
  const sinceMs = clock.nowMs() - SHARD_MS;
  const isMissing = missingSinceMs?.() !== undefined;
  const continuousSinceUs = isMissing ? undefined : tracker.wholeSinceUs(shards, sinceMs);
  return { limits, severity, continuousSinceUs, nodes: tracker.nodes(sinceMs), policies, acceptances };
}
