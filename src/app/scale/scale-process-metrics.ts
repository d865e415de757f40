// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The numbers behind the metrics of readers and owners.
// Invariant: reads only.

import type { Config } from "../../config/config.ts";
import { createEventCounters } from "../../events/event-counters.ts";
import type { Recorder } from "../../events/recorder.ts";
import { IngestCounters } from "../../ingest/ingest-counters.ts";
import { sumBuffers } from "../../lib/collections/buffer-use.ts";
import type { LeaseGroup } from "../../scale/leases/lease-group.ts";
import type { Owners } from "../../scale/owner/owners.ts";
import type { Reader } from "../../scale/reader/reader.ts";
import type { Bus } from "../../scale/stream/bus.ts";
import { NO_OPEN_REPORTS } from "../../sinks/openreports/openreport-publisher.ts";
import { type MetricsSource, NO_JOURNAL, NOTHING_HELD } from "../../telemetry/metrics-source.ts";
import { ReportSeries } from "../../telemetry/report-series.ts";
import type { ClusterContext } from "../cluster-context.ts";
import { readContextCounts, toEventCounts } from "../operator-metrics.ts";
import { reportCounts } from "../report-counts.ts";
import type { RequestCounters } from "../request-counters.ts";

interface Common {
  group: LeaseGroup;
  bus: Bus;
  passing: RequestCounters;
}

export function createReaderMetrics({ reader, group, bus, passing }: Common & { reader: Reader }): MetricsSource {
  const { publisher } = reader;
  return {
    ...createZeros(passing),
    counters: () => reader.counters,
    held: () => ({ ...NOTHING_HELD, unwrittenOccurrences: reader.pending }),
    stream: () => ({ ...NO_STREAM, isUp: reader.isUp, nodes: reader.nodes, lastMessageMs: reader.lastAlertMs }),
    scale: () => ({
      held: group.held.size,
      replicas: group.replicas,
      isStreamUp: bus.problem === undefined,
      messages: publisher.messages,
      retries: publisher.retries,
      occurrences: publisher.published,
      lost: publisher.lost,
      dropped: reader.dropped,
      skipped: {},
    }),
  };
}

export function createOwnerMetrics({
  owners,
  group,
  bus,
  passing,
  context,
  recorder,
  config,
}: Common & {
  owners: Owners;
  context: ClusterContext;
  recorder: Recorder | undefined;
  config: Config;
}): MetricsSource {
  const series = new ReportSeries(config.metrics.maxReportSeries);
  const sum = (number: (life: Owners["lives"][number]) => number) =>
    owners.lives.reduce((total, life) => total + number(life), 0);
  return {
    ...createZeros(passing),
    stream: () => ({ ...NO_STREAM, isUp: bus.problem === undefined }),
    held: () => ({
      unwrittenOccurrences: sum(({ aggregator }) => aggregator.stats.unwritten),
      violations: sum(({ aggregator }) => aggregator.stats.violations),
      reports: sum(({ aggregator }) => aggregator.ledgers.size),
      bytes: sum(({ aggregator }) => aggregator.stats.bytes),
      renderedBytes: sum(({ controller }) => controller.rendered.bytes),
      forgotten: owners.ended.forgotten + sum(({ aggregator }) => aggregator.stats.evicted),
      expired: owners.ended.expired + sum(({ aggregator }) => aggregator.stats.expired),
      names: 0,
      namesEvicted: 0,
      joined: 0,
      withoutDetails: owners.ended.withoutDetails + sum(({ aggregator }) => aggregator.stats.withoutDetails),
    }),
    buffers: () => sumBuffers([owners.ended.buffers, ...owners.lives.map(({ controller }) => controller.buffers)]),
    writes: () => ({
      results: passing.writes,
      removed: owners.ended.removed + sum(({ controller }) => controller.removed),
      queued: sum(({ controller }) => controller.backlog),
    }),
    api: () => ({
      requests: passing.apiRequests,
      retries: owners.ended.retries + sum(({ controller }) => controller.retries) + (recorder?.stats().retries ?? 0),
    }),
    events: () => toEventCounts(recorder?.stats()),
    reports: () => {
      const rows = owners.lives.flatMap(({ aggregator }) => [...reportCounts(aggregator, config.severity.thresholds)]);
      return { rows: series.selectRows(rows), others: series.others };
    },
    ...readContextCounts(context),
    openReports: () => context.openReportStats(),
    isLeader: () => group.held.size > 0,
    scale: () => ({
      held: group.held.size,
      replicas: group.replicas,
      isStreamUp: bus.problem === undefined,
      messages: owners.counters.messages,
      retries: 0,
      occurrences: owners.counters.added,
      lost: owners.counters.lost,
      dropped: owners.counters.refused,
      skipped: owners.counters.skipped,
    }),
  };
}

const NO_STREAM = {
  isUp: false,
  nodes: { desired: 0, connected: 0 },
  gaps: {},
  gapSeconds: {},
  lastMessageMs: 0,
  disconnects: {},
  certificateExpiryMs: undefined,
};

function createZeros(passing: RequestCounters): MetricsSource {
  const { suppressed, lost } = createEventCounters();
  return {
    counters: () => new IngestCounters(),
    held: () => NOTHING_HELD,
    buffers: () => sumBuffers([]),
    stream: () => NO_STREAM,
    journal: () => NO_JOURNAL,
    writes: () => ({ results: passing.writes, removed: 0, queued: 0 }),
    api: () => ({ requests: passing.apiRequests, retries: 0 }),
    events: () => ({ sent: 0, suppressed, lost }),
    reports: () => ({ rows: [], others: 0 }),
    isLeader: () => false,
    policies: () => [],
    acceptances: () => ({ held: 0, leftOut: 0, statusWrites: {} }),
    openReports: () => NO_OPEN_REPORTS,
    standby: () => ({ held: 0, shown: 0, forgotten: 0, isCaughtUp: false }),
  };
}
