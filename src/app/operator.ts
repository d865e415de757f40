// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `run`: builds every room from the configuration, starts them in order and stops them in reverse.

import { randomBytes } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import type { Config } from "../config/config.ts";
import type { EventRecorder } from "../events/event-recorder.ts";
import { createEventSink } from "../events/event-sink.ts";
import { type RunningRecorder, startRecorder } from "../events/recorder.ts";
import { Journaling } from "../journal/journal-writer.ts";
import { createSqliteJournal } from "../journal/sqlite-journal.ts";
import { KubeClient } from "../kube/client.ts";
import type { LoadedKubeConfig } from "../kube/kubeconfig.ts";
import { ONLY_REPLICA, Replica } from "../leadership/replica.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { createClusterSink } from "../sinks/cluster-sink.ts";
import { createMetrics, type Metrics } from "../telemetry/metrics.ts";
import { ClusterContext } from "./cluster-context.ts";
import { type ConfiguredSource, createConfiguredSource } from "./configured-source.ts";
import { monitorEventLoopStalls } from "./event-loop-monitor.ts";
import { limitToHeap } from "./heap-limits.ts";
import { Pipeline } from "./pipeline.ts";
import { ownObject, toPipelineOptions } from "./pipeline-options.ts";
import { computeReadiness, createMetricsSource, type Observed, RequestCounters } from "./readiness.ts";
import { logRejections } from "./rejection-log.ts";
import { startServers } from "./servers.ts";
import { StopSteps } from "./stop-steps.ts";

export interface OperatorParts {
  config: Config;
  kubeConfig: LoadedKubeConfig;
  logger: Logger;
  clock: Clock;
  version: string;
}

/** Of the grace period, what is kept for Events and for closing. */
const CLOSING_SHARE = 0.2;

/** Runs until the signal aborts, then writes what is left within the grace period. Returns the exit code. */
export async function runOperator(parts: OperatorParts, stop: AbortSignal): Promise<number> {
  const { config, logger, version, kubeConfig } = parts;
  const relay = config.feed.relay.address;
  logger.info({ version, server: kubeConfig.server, kubeconfig: kubeConfig.source, relay }, "starting");
  const operator = await Operator.create(parts);
  return await operator.run(stop);
}

class Operator {
  readonly #parts: OperatorParts;
  readonly #client: KubeClient;
  readonly #recorder: RunningRecorder | undefined;
  /** Undefined where none is configured. */
  readonly #journaling: Journaling | undefined;
  readonly #source: ConfiguredSource;
  readonly #pipeline: Pipeline;
  readonly #context: ClusterContext;
  /** Undefined where this is the only replica. */
  readonly #replica: Replica | undefined;
  readonly #observed: Observed;
  /** Set once the server listens, before anything is written. */
  #metrics: Metrics | undefined;
  /** Ends of all that has started. */
  readonly #steps: StopSteps;
  /** Another replica has led after this one: what is unwritten here is that one's to write. */
  #wasOvertaken = false;

  static async create(parts: OperatorParts): Promise<Operator> {
    const operator = new Operator(parts);
    try {
      await operator.#listen();
    } catch (error) {
      await operator.#steps.run();
      throw error;
    }
    return operator;
  }

  private constructor(parts: OperatorParts) {
    const { config, kubeConfig, clock, logger, version } = parts;
    const passing = new RequestCounters();
    this.#parts = parts;
    this.#steps = new StopSteps(logger);
    this.#client = new KubeClient({
      kubeConfig,
      version,
      clock,
      timeoutMs: config.reports.writeTimeoutMs,
      observe: (call) => passing.countCall(call),
    });
    this.#steps.onStop("kubernetes client", () => this.#client.close());
    this.#replica = config.leaderElection.enabled
      ? new Replica({ config, client: this.#client, clock, logger, pipeline: () => this.#pipeline })
      : undefined;
    this.#steps.onStop("cluster context", () => this.#context?.ended);
    this.#steps.onStop("lease", () => this.#replica?.elector.release());
    this.#recorder = config.events.enabled ? this.#startRecorder() : undefined;
    this.#steps.onStop("events", () => this.#recorder?.stop((config.shutdown.graceMs * CLOSING_SHARE) / 2));
    const events: EventRecorder = this.#recorder ?? { record() {} };
    const sink = createClusterSink({ client: this.#client, logger, clusterName: config.cluster.name });
    const freshWriterId = createWriterId(config.identity);
    this.#journaling = startJournaling(parts, freshWriterId);
    this.#steps.onStop("journal", () => this.#journaling?.close());
    this.#context = new ClusterContext({
      ...parts,
      client: this.#client,
      pipeline: () => this.#pipeline,
      isLeader: () => (this.#replica?.leadership() ?? ONLY_REPLICA).isLeader,
    });
    const memory = limitToHeap(config.memory, getHeapStatistics().heap_size_limit, logger);
    this.#pipeline = new Pipeline(
      { ...toPipelineOptions(config, freshWriterId), memory },
      {
        journaling: this.#journaling,
        sink: this.#replica?.guard(sink) ?? sink,
        events,
        self: ownObject(config),
        otherNowMs: () => this.#client.serverNowMs(),
        clock,
        logger,
        ...this.#context.catalogs,
        onWriteResult: (kind, durationMs) => {
          passing.writes[kind]++;
          this.#metrics?.observeWrite(durationMs);
        },
        onRejected: logRejections(logger),
        ...(config.feed.mode === "relay" ? {} : { nodes: () => this.#source.nodes }),
      },
    );
    this.#source = createConfiguredSource(parts, this.#client, (expiresMs) => {
      passing.certificateExpiryMs = expiresMs;
    });
    this.#observed = {
      source: this.#source,
      pipeline: this.#pipeline,
      journaling: this.#journaling,
      passing,
      policies: this.#context.policies,
      acceptances: this.#context.acceptances,
      eventStats: () => this.#recorder?.stats(),
      openReportStats: () => this.#context.openReportStats(),
      leadership: () => this.#replica?.leadership() ?? ONLY_REPLICA,
      isCaughtUp: () => this.#replica?.isCaughtUp ?? false,
      severity: config.severity.thresholds,
      maxReportSeries: config.metrics.maxReportSeries,
    };
  }

  /** Reads from the start and writes while it leads, until `stop` aborts or another replica has led. */
  async run(stop: AbortSignal): Promise<number> {
    const end = new AbortController();
    const until = AbortSignal.any([stop, end.signal]);
    until.addEventListener("abort", () => this.#pipeline.onReadingEnds(), { once: true });
    const reading = this.#source.run(this.#pipeline, until);
    const endWatch = monitorEventLoopStalls(this.#parts.clock, (ms) => this.#pipeline.onEventLoopStall(ms));
    const leading = this.#replica ? await this.#replica.standBy(until) : NEVER;
    const last = leading && (await this.#write(leading, until));
    end.abort();
    await reading;
    endWatch();
    return await this.#close(last);
  }

  /**
   * Writes while this replica leads. Alerts are counted also while it does not: if it leads again and no other replica
   * has led meanwhile, their counts are written. Returns the term in which it was stopped; undefined when another
   * replica has led, which has read the same pending alerts.
   */
  async #write(first: AbortSignal, until: AbortSignal): Promise<AbortSignal | undefined> {
    const elector = this.#replica?.elector;
    for (let leading: AbortSignal | undefined = first; leading; ) {
      const isOver = AbortSignal.any([until, leading]);
      await this.#context.follow(isOver);
      if (!this.#isLoaded) await this.#pipeline.load(isOver, elector?.told.predecessor);
      if (this.#isLoaded && !isOver.aborted) this.#pipeline.writer.start();
      await waitForAbort(isOver);
      if (until.aborted) return leading;
      await this.#pipeline.writer.suspend();
      leading = await elector?.regain(until);
      if (until.aborted) return leading;
    }
    const leader = elector?.holder;
    this.#parts.logger.error({ leader }, "leadership lost to another replica, exiting");
    this.#wasOvertaken = true;
    return undefined;
  }

  get #isLoaded(): boolean {
    return this.#pipeline.listing === undefined;
  }

  /** Writes what is left, as long as the term lasts and there is time. */
  async #close(term: AbortSignal | undefined): Promise<number> {
    const { config, clock, logger } = this.#parts;
    const graceMs = config.shutdown.graceMs;
    logger.info({ graceMs }, "shutting down, flushing reports");
    const deadline = new AbortController();
    const cancel = clock.after(graceMs * (1 - CLOSING_SHARE), () => deadline.abort());
    if (term) await this.#writeRest(AbortSignal.any([deadline.signal, term]));
    cancel();
    await this.#steps.run();
    return this.#end();
  }

  /** Also runs when stopped before the stored reports were listed: their counts continue in this write. */
  async #writeRest(until: AbortSignal): Promise<void> {
    if (!this.#isLoaded) await this.#pipeline.load(until, this.#replica?.elector.told.predecessor);
    if (this.#isLoaded) await this.#pipeline.writer.flush(until);
  }

  /** Says how it ended. Returns the exit code. */
  #end(): number {
    const { logger } = this.#parts;
    const { aggregator, counters, standbyCounters } = this.#pipeline;
    const unwritten = aggregator.unwrittenOccurrences;
    const fields = { ...counters, ...(standbyCounters && { standby: standbyCounters }) };
    if (this.#wasOvertaken) {
      logger.warn({ pending: unwritten, ...fields }, "stopped after lost leadership");
      return 1;
    }
    if (unwritten === 0) {
      logger.info(fields, "stopped, all counts written");
      return 0;
    }
    // Another replica, if there is one, has read the same alerts.
    logger.error({ pending: unwritten, ...fields }, "stopped with counts not written");
    return 1;
  }

  #startRecorder(): RunningRecorder {
    const { config, clock, logger } = this.#parts;
    const { events } = config;
    return startRecorder(
      {
        defaultPosture: events.defaultPosture,
        maxSeries: events.maxSeries,
        maxQueued: events.maxQueued,
        overall: { perSecond: events.perSecond, burst: events.burst },
        perRegarding: { perSecond: 1000 / events.perObjectIntervalMs, burst: events.perObjectBurst },
      },
      createEventSink({ client: this.#client, reportingInstance: config.identity }),
      clock,
      logger,
    );
  }

  async #listen(): Promise<void> {
    const { config, version } = this.#parts;
    const source = createMetricsSource(this.#observed);
    const metrics = createMetrics({ source, version, clusterName: config.cluster.name });
    this.#metrics = metrics;
    const readinessNow = () => computeReadiness(this.#observed);
    const close = await startServers({ ...this.#parts, metrics, readiness: readinessNow });
    this.#steps.onStop("http servers", close);
  }
}

/** With one replica, leadership never ends. */
const NEVER = new AbortController().signal;

/** Resolves when the signal aborts. */
function waitForAbort(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function startJournaling(
  { config, clock, logger }: OperatorParts,
  freshWriterId: string,
): Journaling | undefined {
  const { path, maxBytes, batchIntervalMs } = config.journal;
  if (path === "") return undefined;
  return new Journaling({
    open: createSqliteJournal({ path, maxBytes }),
    batchIntervalMs,
    freshWriterId,
    clock,
    logger,
  });
}

/** A restarted container has its pod's name again, but not its predecessor's sequence numbers. */
function createWriterId(identity: string): string {
  return `${identity}.${randomBytes(4).toString("hex")}`;
}
