// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `replay`: alerts from a file into YAML files, through the same pipeline that `run` uses.
// Invariant: no clock but the alerts' own times: the same alerts in any order give the same bytes.

import type { AlertSource } from "../alerts/alert-source.ts";
import { Pipeline } from "../app/pipeline/pipeline.ts";
import { toPipelineOptions } from "../app/pipeline/pipeline-options.ts";
import type { Config } from "../config/config.ts";
import type { IngestCounters } from "../ingest/ingest-counters.ts";
import type { Clock } from "../lib/clock.ts";
import { silentLogger } from "../lib/logger.ts";
import type { ReportSink } from "../sinks/report-sink.ts";
import { DatedAlerts } from "./dated-alerts.ts";
import type { Terminal } from "./terminal.ts";

export interface ReplayParts {
  config: Config;
  feed: AlertSource;
  sink: ReportSink;
  clock: Clock;
  terminal: Terminal;
  /** For messages: the directory. */
  out: string;
}

/** Every line was understood. */
const EXIT_OK = 0;
const EXIT_FAILED = 1;
/** Some lines were not understood. */
const EXIT_REJECTED = 3;
/** Rejected lines that are named one by one; the rest is counted. */
const MAX_NAMED = 1000;
/** Alerts remembered so that an exact duplicate is known; beyond it the older half is forgotten. */
const MAX_REMEMBERED = 2_000_000;

/** Retention would remove all of an old file. */
const KEEP_ALL = { retentionMs: 0, sweepMs: 0 };

/** Replays the feed; returns the exit code. Rejects when the input can't be read. */
export async function replay(parts: ReplayParts, signal: AbortSignal): Promise<number> {
  const { terminal, clock, config } = parts;
  const stop = new AbortController();
  let written = 0;
  let fault = "";
  const rejected = new RejectedLines(terminal);
  const arrival = { us: clock.nowMs() * 1000 };
  const pipeline = new Pipeline(
    {
      ...toPipelineOptions(config, undefined),
      retention: KEEP_ALL,
      // Only the number of alerts may make one forgotten: how far apart two lines stand says nothing.
      duplicates: { windowMs: Number.POSITIVE_INFINITY, maxEntries: MAX_REMEMBERED },
    },
    {
      sink: allowOverwrites(parts.sink),
      events: { record() {} },
      clock,
      logger: { ...silentLogger, error: (fields) => (fault = String((fields as { answer?: unknown }).answer)) },
      nowUs: () => arrival.us,
      maxAheadUs: Number.POSITIVE_INFINITY,
      onReport: () => written++,
      onWriteResult: (kind) => kind === "refused" && stop.abort(),
      onRejected: (reason, detail, line) => rejected.add(reason, detail, line),
    },
  );
  const alerts = new DatedAlerts(pipeline, arrival);
  await parts.feed.run(alerts, signal);
  alerts.end();
  await pipeline.controller.flush(AbortSignal.any([signal, stop.signal]));
  rejected.end();
  if (alerts.logs > 0) terminal.out(`${alerts.logs} log records skipped (ContainerLog, HostLog)\n`);
  terminal.out(`${formatTotals(pipeline.counters)}\n${written} reports written to ${parts.out}\n`);
  const { unwritten } = pipeline.aggregator.stats;
  if (unwritten > 0) {
    terminal.err(`${unwritten} alerts are in no file: ${fault || "stopped before the end"}\n`);
    return EXIT_FAILED;
  }
  return pipeline.counters.rejectedTotal === 0 ? EXIT_OK : EXIT_REJECTED;
}

/** Names the lines that were not understood, up to a bound, and counts the rest. */
class RejectedLines {
  readonly #terminal: Terminal;
  #count = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  add(reason: string, detail: string, line: number): void {
    if (this.#count++ < MAX_NAMED) this.#terminal.err(`line ${line}: ${reason}: ${detail}\n`);
  }

  end(): void {
    if (this.#count > MAX_NAMED) this.#terminal.err(`and ${this.#count - MAX_NAMED} more lines\n`);
  }
}

export function formatTotals(counters: IngestCounters): string {
  const reasons = Object.entries(counters.rejected).filter(([, n]) => n > 0);
  const why = reasons.length === 0 ? "" : ` (${reasons.map(([reason, n]) => `${reason} ${n}`).join(", ")})`;
  return (
    `${counters.received} alerts received = ${counters.counted} counted + ${counters.duplicates} duplicates + ` +
    `${counters.throttleNotices} throttle notices + ${counters.rejectedTotal} rejected${why}`
  );
}

/** A replay reports only its input, independent of earlier content of the directory. */
function allowOverwrites(sink: ReportSink): ReportSink {
  return {
    ...sink,
    async write(report, signal) {
      const result = await sink.write(report, signal);
      if (result.kind !== "conflict") return result;
      const read = await sink.read(report.metadata, signal);
      if (read.kind !== "found") return result;
      const { resourceVersion } = read.report.metadata;
      const metadata = { ...report.metadata, ...(resourceVersion === undefined ? {} : { resourceVersion }) };
      return await sink.write({ ...report, metadata }, signal);
    },
  };
}
