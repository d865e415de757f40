// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The numbers behind the metrics of an operator.
// Invariant: reads only.

import type { Config } from "../config/config.ts";
import { createEventCounters, type RecorderStats } from "../events/event-counters.ts";
import { getLeadership } from "../leadership/replica.ts";
import { sumBuffers } from "../lib/collections/buffer-use.ts";
import { type Counts, type MetricsSource, NO_JOURNAL } from "../telemetry/metrics-source.ts";
import { ReportSeries } from "../telemetry/report-series.ts";
import type { ClusterContext } from "./cluster-context.ts";
import type { OperatorParts } from "./operator-parts.ts";
import { reportCounts } from "./report-counts.ts";

export function createMetricsSource({ metrics, severity }: Config, parts: OperatorParts): MetricsSource {
  const { pipeline, journaling, passing, context, recorder, replica, source } = parts;
  const { aggregator, counters, coverage, controller, takeover } = pipeline;
  const series = new ReportSeries(metrics.maxReportSeries);
  const isLeader = () => getLeadership(replica).isLeader;
  return {
    counters: () => counters,
    held: () => ({
      unwrittenOccurrences: aggregator.stats.unwritten,
      violations: aggregator.stats.violations,
      reports: aggregator.ledgers.size,
      bytes: aggregator.stats.bytes,
      renderedBytes: controller.rendered.bytes,
      forgotten: aggregator.stats.evicted,
      expired: aggregator.stats.expired,
      withoutDetails: aggregator.stats.withoutDetails,
      names: counters.names,
      namesEvicted: counters.namesEvicted,
      joined: counters.joined,
    }),
    buffers: () => sumBuffers([controller.buffers, takeover.buffers]),
    stream: () => ({
      // A missing node is a gap, and the stream of the others is up.
      isUp: coverage.continuousSinceMs !== undefined || (source.nodes?.connected ?? 0) > 0,
      nodes: source.nodes ?? { desired: 0, connected: 0 },
      gaps: coverage.gaps,
      gapSeconds: coverage.gapSeconds,
      lastMessageMs: pipeline.lastAlertMs,
      disconnects: coverage.disconnects,
      certificateExpiryMs: passing.certificateExpiryMs,
    }),
    journal: () => {
      if (!journaling) return NO_JOURNAL;
      const { problem, bytes, stats, waiting, ageMs } = journaling;
      return { isKept: problem === undefined, bytes, ...stats, waiting, ageMs };
    },
    writes: () => ({ results: passing.writes, removed: controller.removed, queued: controller.backlog }),
    api: () => ({ requests: passing.apiRequests, retries: controller.retries + (recorder?.stats().retries ?? 0) }),
    events: () => toEventCounts(recorder?.stats()),
    reports: () => {
      // The leader reports the alerts of a standby.
      const rows = isLeader() ? series.selectRows(reportCounts(aggregator, severity.thresholds)) : [];
      return { rows, others: series.others };
    },
    ...readContextCounts(context),
    openReports: () => context.openReportStats(),
    isLeader,
    standby: () => ({
      ...(pipeline.takeover.counters ?? { held: 0, shown: 0, forgotten: 0 }),
      isCaughtUp: !isLeader() && (replica?.isCaughtUp ?? false),
    }),
  };
}

/** Events by outcome; all 0 where none are sent. */
export function toEventCounts(stats: RecorderStats | undefined): { sent: number; suppressed: Counts; lost: Counts } {
  const { sent, suppressed, lost } = stats ?? createEventCounters();
  return { sent: sent.created + sent.patched, suppressed, lost };
}

/** Numbers of followed policies and acceptances. */
export function readContextCounts({
  policies,
  acceptances,
}: ClusterContext): Pick<MetricsSource, "policies" | "acceptances"> {
  return {
    policies: () =>
      policies
        .stats()
        .map(({ kind, knowledge, objects, leftOut }) => ({ kind, isKnown: knowledge === "known", objects, leftOut })),
    acceptances: () => {
      const { size, leftOut, statusWrites } = acceptances;
      return { held: size, leftOut, statusWrites };
    },
  };
}
