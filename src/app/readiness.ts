// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Readiness with its reasons, and the numbers behind the metrics.
// Invariant: reads only.

import type { AcceptanceWatch } from "../acceptance/acceptance-watch.ts";
import type { SeverityThresholds } from "../api/severity.ts";
import { createEventCounters, type RecorderStats } from "../events/event-counters.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import type { KubeCall } from "../kube/client.ts";
import type { Leadership } from "../leadership/replica.ts";
import type { PolicyWatch } from "../policies/policy-watch.ts";
import type { OpenReportStats } from "../sinks/openreports/openreport-publisher.ts";
import type { WriteResult } from "../sinks/report-sink.ts";
import type { Health } from "../telemetry/health.ts";
import type { Counts, MetricsSource } from "../telemetry/metrics-source.ts";
import { ReportSeries } from "../telemetry/report-series.ts";
import type { ConfiguredSource } from "./configured-source.ts";
import type { Pipeline } from "./pipeline.ts";
import { reportCounts } from "./report-counts.ts";

/** Counts what only passes by: API calls and the answers to writes. */
export class RequestCounters {
  readonly writes: Record<WriteResult["kind"], number> = {
    written: 0,
    conflict: 0,
    gone: 0,
    namespace_gone: 0,
    too_large: 0,
    retry: 0,
    unknown: 0,
    refused: 0,
  };
  /** Of the newest connection to the relay; undefined without TLS. Milliseconds since the epoch. */
  certificateExpiryMs: number | undefined;
  #onWrite: (durationMs: number) => void = () => {};
  readonly #api = new Map<string, { verb: string; code: string; count: number }>();

  /** Has the duration of each write passed on, in milliseconds. */
  observe(onWrite: (durationMs: number) => void): void {
    this.#onWrite = onWrite;
  }

  countWrite(kind: WriteResult["kind"], durationMs: number): void {
    this.writes[kind]++;
    this.#onWrite(durationMs);
  }

  countCall({ method, code }: KubeCall): void {
    const key = `${method} ${code}`;
    const known = this.#api.get(key) ?? { verb: method, code, count: 0 };
    known.count++;
    this.#api.set(key, known);
  }

  get apiRequests(): Iterable<{ verb: string; code: string; count: number }> {
    return this.#api.values();
  }
}

/** Inputs of the probes. */
export interface Observed {
  pipeline: Pipeline;
  /** Undefined where none is configured. */
  journaling: Journaling | undefined;
  passing: RequestCounters;
  policies: Pick<PolicyWatch, "stats">;
  acceptances: Pick<AcceptanceWatch, "size" | "leftOut" | "statusWrites">;
  eventStats: () => RecorderStats | undefined;
  openReportStats: () => OpenReportStats;
  leadership: () => Leadership;
  source: Pick<ConfiguredSource, "nodes" | "problem">;
  severity: SeverityThresholds;
  /** Reports that have series of their own. */
  maxReportSeries: number;
  /** True if this replica is a standby that could take over without a gap. */
  isCaughtUp: () => boolean;
}

/**
 * Ready: the stored reports are listed, the stream is open or being retried, and our writes are not refused; that of a
 * single report may be, which others have changed.
 */
export function computeReadiness({ pipeline, journaling, leadership, source }: Observed): Health {
  const { controller, takeover } = pipeline;
  const { listing } = takeover;
  const refusal = controller.refusals[0];
  const { isLeader, ok, detail } = leadership();
  const isListed = listing === undefined || !isLeader;
  return {
    ok: ok && isListed && controller.commonRefusal === undefined,
    checks: {
      leadership: { ok, detail },
      reports: { ok: isListed, detail: isLeader ? (listing ?? "listed") : "not leader" },
      writes: {
        ok: controller.commonRefusal === undefined,
        ...(refusal === undefined ? {} : { detail: controller.commonRefusal ?? refusal }),
      },
      // Without it everything goes on; only a crash would cost more.
      journal: { ok: true, detail: journaling ? (journaling.problem ?? "kept") : "none is configured" },
      // A relay that is down is no reason to restart or unroute us: we retry, and the gap is counted.
      stream: { ok: true, detail: describeStream(pipeline.coverage, source) },
    },
  };
}

/** Describes the stream of the relay, or of all nodes, with one that is missing and why. */
export function describeStream(
  { down, continuousSinceMs }: Pick<Pipeline["coverage"], "down" | "continuousSinceMs">,
  { nodes, problem }: Observed["source"],
): string {
  if (nodes !== undefined) {
    const counts = `${nodes.connected} of ${nodes.desired} nodes are read`;
    return problem === undefined ? counts : `${counts}; ${problem}`;
  }
  if (down) return `down, being retried: ${down.message}`;
  return continuousSinceMs === undefined ? "connecting" : "open";
}

/** The numbers behind the metrics. */
export function createMetricsSource(observed: Observed): MetricsSource {
  const {
    pipeline,
    journaling,
    passing,
    policies,
    acceptances,
    eventStats,
    leadership,
    severity,
    isCaughtUp,
    source,
  } = observed;
  const { aggregator, counters, coverage, controller } = pipeline;
  const series = new ReportSeries(observed.maxReportSeries);
  return {
    counters: () => counters,
    held: () => ({
      unwrittenOccurrences: aggregator.unwrittenOccurrences,
      violations: aggregator.violationsHeld,
      reports: aggregator.ledgers.size,
      bytes: aggregator.bytesHeld,
      renderedBytes: controller.rendered.bytes,
      forgotten: aggregator.forgottenTotal,
      expired: aggregator.expiredTotal,
      withoutDetails: aggregator.unidentifiedTotal,
      names: counters.names,
      namesEvicted: counters.namesEvicted,
      joined: counters.joined,
    }),
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
    journal: () => ({
      isKept: journaling !== undefined && journaling.problem === undefined,
      bytes: journaling?.bytes ?? 0,
      ...(journaling?.stats ?? { batches: 0, rows: 0, failures: 0, recovered: 0 }),
      waiting: journaling?.waiting ?? 0,
      ageMs: journaling?.ageMs ?? 0,
    }),
    writes: () => ({
      results: passing.writes,
      removed: controller.removed,
      queued: controller.backlog,
      paced: controller.pacesHeld,
    }),
    api: () => ({
      requests: passing.apiRequests,
      retries: controller.retries + (eventStats()?.retries ?? 0),
    }),
    events: () => toEventCounts(eventStats()),
    reports: () => {
      // The leader reports the alerts of a standby.
      const rows = leadership().isLeader ? series.selectRows(reportCounts(aggregator, severity)) : [];
      return { rows, others: series.others };
    },
    policies: () =>
      policies.stats().map(({ kind, knowledge, objects, leftOut }) => ({
        kind,
        isKnown: knowledge === "known",
        objects,
        leftOut,
      })),
    acceptances: () => {
      const { size, leftOut, statusWrites } = acceptances;
      return { held: size, leftOut, statusWrites };
    },
    openReports: observed.openReportStats,
    isLeader: () => leadership().isLeader,
    standby: () => ({
      ...(pipeline.takeover.counters ?? { held: 0, shown: 0, forgotten: 0 }),
      isCaughtUp: !leadership().isLeader && isCaughtUp(),
    }),
  };
}

function toEventCounts(stats: RecorderStats | undefined): { sent: number; suppressed: Counts; lost: Counts } {
  const { sent, suppressed, lost } = stats ?? createEventCounters();
  return { sent: sent.created + sent.patched, suppressed, lost };
}
