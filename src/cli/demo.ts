// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `demo`: the whole flow without a cluster. A KubeArmor node server in another process streams the sample alerts
// over gRPC; the pipeline that `run` uses writes the reports as YAML; then everything is shown.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { createRelaySource } from "../alerts/relay-source.ts";
import type { Report } from "../api/v1alpha1.ts";
import { Pipeline } from "../app/pipeline/pipeline.ts";
import { toPipelineOptions } from "../app/pipeline/pipeline-options.ts";
import { type Config, parseConfig } from "../config/config.ts";
import type { EventResult, EventSink, NewEvent, UidResult } from "../events/event-recorder.ts";
import { Recorder } from "../events/recorder.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { silentLogger } from "../lib/logger.ts";
import { toObjectKey } from "../lib/object-key.ts";
import { createDirectorySink, reportToYaml } from "../sinks/directory-sink.ts";
import { formatTotals } from "./replay.ts";
import { formatClusterReportTable, formatReportTable, table } from "./table.ts";
import type { Terminal } from "./terminal.ts";

export interface DemoParts {
  /** The Node.js that runs this program. */
  nodePath: string;
  /** The script of the KubeArmor node server. */
  nodeServer: string;
  terminal: Terminal;
  clock: Clock;
  /** The directory for the reports; default a new one for temporary files. */
  out: string | undefined;
}

/** Repetitions of each sample, with fresh times and process ids. */
const ROUNDS = 20;
const SAMPLES = 26;
const ALERTS = ROUNDS * SAMPLES;
const ALERTS_PER_SECOND = 260;
const TIMEOUT_MS = 20_000;
const TICK_MS = 100;
/** The report that is shown in full: one policy, blocked on one workload and not blocked on another. */
const SHOWN = "block-pkg-mgmt-tools-exec";

/** The samples are old. */
const KEEP_ALL = { retentionMs: 0, sweepMs: 0 };

/** Runs the demo; returns the exit code. */
export async function runDemo(parts: DemoParts, stop: AbortSignal): Promise<number> {
  const { terminal, clock, out, nodeServer } = parts;
  if (!existsSync(nodeServer)) {
    terminal.err(`the demo runs from a checkout: there is no ${nodeServer}\n`);
    return 1;
  }
  const directory = out ?? (await mkdtemp(join(tmpdir(), "policy-violation-demo-")));
  const node = startNode(parts);
  const stopFeed = new AbortController();
  try {
    const address = await readListeningAddress(node.stdout);
    terminal.out(`A KubeArmor node (process ${node.pid}) streams ${ALERTS} alerts over gRPC from ${address}.\n\n`);
    const events = new CollectedEvents();
    const recorder = new Recorder({}, events, clock, silentLogger);
    const reports = new Map<string, Report>();
    const pipeline = new Pipeline(
      { ...toPipelineOptions(createDemoConfig(), undefined), retention: KEEP_ALL },
      {
        sink: createDirectorySink(directory),
        events: recorder,
        clock,
        logger: silentLogger,
        onReport: (report) => reports.set(toObjectKey(report.metadata), report),
      },
    );
    pipeline.controller.start();
    const reading = createRelaySource({ address }, clock, silentLogger).run(
      pipeline,
      AbortSignal.any([stopFeed.signal, stop]),
    );
    await watch(pipeline, reports, { terminal, clock }, stop);
    stopFeed.abort();
    await reading;
    await pipeline.controller.flush(stop);
    await recorder.stop(1000);
    show({ terminal, directory, events, pipeline, reports: [...reports.values()], nowMs: clock.nowMs() });
    return pipeline.counters.received === ALERTS && pipeline.aggregator.stats.unwritten === 0 ? 0 : 1;
  } finally {
    stopFeed.abort();
    node.kill();
  }
}

/** Shows a live line until every alert has come, or the time is up. */
async function watch(
  pipeline: Pipeline,
  reports: ReadonlyMap<string, Report>,
  { terminal, clock }: Pick<DemoParts, "terminal" | "clock">,
  stop: AbortSignal,
): Promise<void> {
  const endMs = clock.nowMs() + TIMEOUT_MS;
  const line = () => {
    const { received } = pipeline.counters;
    const unwritten = pipeline.aggregator.stats.unwritten;
    return `${received} of ${ALERTS} alerts · ${pipeline.aggregator.stats.violations} violations · ${reports.size} reports written · ${unwritten} occurrences not yet written`;
  };
  while (pipeline.counters.received < ALERTS && clock.nowMs() < endMs && !stop.aborted) {
    if (terminal.isInteractive) terminal.out(`\r\x1b[K${line()}`);
    await clock.sleep(TICK_MS, stop);
  }
  terminal.out(`${terminal.isInteractive ? "\r\x1b[K" : ""}${line()}\n\n`);
}

interface DemoResult {
  terminal: Terminal;
  directory: string;
  events: CollectedEvents;
  pipeline: Pipeline;
  reports: readonly Report[];
  nowMs: number;
}

function show({ terminal, directory, events, pipeline, reports, nowMs }: DemoResult): void {
  const heading = (text: string) => terminal.out(`\n# ${text}\n`);
  heading("kubectl get pvr -A");
  terminal.out(formatReportTable(reports, nowMs));
  heading("kubectl get cpvr");
  terminal.out(formatClusterReportTable(reports, nowMs));
  const shown = reports.find((report) => report.metadata.name === SHOWN);
  assert(shown, `the samples break ${SHOWN}`);
  heading(`kubectl get pvr -n ${shown.metadata.namespace} ${SHOWN} -o yaml`);
  terminal.out(reportToYaml(shown));
  heading("Events that would be sent");
  terminal.out(events.formatTable());
  heading("The counters");
  terminal.out(`${formatTotals(pipeline.counters)}\n`);
  const persisted = reports.reduce((sum, report) => sum + report.summary.occurrences, 0);
  const { unwritten } = pipeline.aggregator.stats;
  terminal.out(`${pipeline.counters.counted} counted = ${persisted} in the reports + ${unwritten} not yet written\n`);
  terminal.out(`\n${reports.length} reports are in ${directory}\n`);
}

function createDemoConfig(): Config {
  const result = parseConfig({ place: { identity: "demo" } });
  assert("config" in result, "the defaults are a configuration");
  return result.config;
}

function startNode({ nodePath, nodeServer }: DemoParts) {
  const rate = ["--count", String(ALERTS), "--rate", String(ALERTS_PER_SECOND)];
  const args = [nodeServer, ...rate, "--wait-for-client", "--lossless", "--die-with-parent"];
  return spawn(nodePath, args, { stdio: ["pipe", "pipe", "inherit"] });
}

/** The first line that the node server prints says where it listens. */
async function readListeningAddress(stdout: Readable): Promise<string> {
  const [line] = (await once(createInterface(stdout), "line")) as [string];
  return (JSON.parse(line) as { listening: string }).listening;
}

interface Collected {
  event: NewEvent;
  count: number;
}

/** Takes every Event as the API server would, for objects that all exist. */
class CollectedEvents implements EventSink {
  readonly #events = new Map<string, Collected>();

  async findUid(): Promise<UidResult> {
    return { kind: "found", uid: "00000000-0000-0000-0000-000000000000" };
  }

  async create(event: NewEvent): Promise<EventResult> {
    this.#events.set(toObjectKey(event), { event, count: event.series?.count ?? 1 });
    return { kind: "sent" };
  }

  async patchSeries(ref: { namespace: string; name: string }, series: { count: number }): Promise<EventResult> {
    const known = this.#events.get(toObjectKey(ref));
    if (!known) return { kind: "gone" };
    known.count = series.count;
    return { kind: "sent" };
  }

  /** The Events as `kubectl get events -A` would list them, by object. */
  formatTable(): string {
    const rows = [...this.#events.values()].map(({ event, count }) => [
      event.namespace,
      "Warning",
      event.reason,
      `${event.regarding.kind.toLowerCase()}/${event.regarding.name}`,
      `x${count}`,
      event.note,
    ]);
    rows.sort((a, b) => (a.join("\u0000") < b.join("\u0000") ? -1 : 1));
    return table(["NAMESPACE", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"], rows);
  }
}
