// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Parts of a running operator, built in an order in which each needs only those before it. Each registers its end.

import type { Config } from "../config/config.ts";
import { createEventSink } from "../events/event-sink.ts";
import { Recorder } from "../events/recorder.ts";
import { Journaling } from "../journal/journal-writer.ts";
import { createSqliteJournal } from "../journal/sqlite-journal.ts";
import { createWriterId } from "../journal/writer-id.ts";
import { KubeClient } from "../kube/client.ts";
import type { LoadedKubeConfig } from "../kube/kubeconfig.ts";
import { readServiceAccountUid } from "../kube/service-account.ts";
import { LeaderElector } from "../leadership/election/leader-elector.ts";
import { guardLeader, Replica } from "../leadership/replica.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { createClusterSink } from "../sinks/cluster-sink.ts";
import { createReportWatch } from "../sinks/report-watch.ts";
import { ClusterContext } from "./cluster-context.ts";
import { type ConfiguredSource, createConfiguredSource } from "./feed/configured-source.ts";
import { limitToHeap } from "./heap-limits.ts";
import { Pipeline } from "./pipeline/pipeline.ts";
import { ownObject, toElectorOptions, toPipelineOptions } from "./pipeline/pipeline-options.ts";
import { RequestCounters } from "./request-counters.ts";
import type { StopSteps } from "./stop-steps.ts";

export interface OperatorSettings {
  config: Config;
  kubeConfig: LoadedKubeConfig;
  logger: Logger;
  clock: Clock;
  version: string;
}

export interface OperatorParts {
  passing: RequestCounters;
  client: KubeClient;
  /** Undefined where this is the only replica. */
  elector: LeaderElector | undefined;
  context: ClusterContext;
  recorder: Recorder | undefined;
  /** Undefined where none is configured. */
  journaling: Journaling | undefined;
  source: ConfiguredSource;
  pipeline: Pipeline;
  /** Undefined where this is the only replica. */
  replica: Replica | undefined;
}

/** Share of the grace period that is kept for Events and for closing. */
export const CLOSING_SHARE = 0.2;

export function createOperatorParts(settings: OperatorSettings, steps: StopSteps): OperatorParts {
  const account = readServiceAccountUid(settings.kubeConfig.config);
  const writerId = createWriterId(settings.config.identity, account);
  const passing = new RequestCounters();
  const client = createClient(settings, passing, steps);
  const elector = createElector(settings, client, steps);
  const context = createContext(settings, client, elector, steps);
  const recorder = createRecorder(settings, client, steps);
  const journaling = createJournaling(settings, { account, freshWriterId: writerId }, steps);
  const source = createConfiguredSource(settings, client, (expiresMs) => {
    passing.certificateExpiryMs = expiresMs;
  });
  const before = { passing, client, elector, context, recorder, journaling, source };
  const pipeline = createPipeline(settings, writerId, before);
  context.observe(pipeline.context);
  const watch = createReportWatch({ ...settings, client });
  const { takeover, controller, coverage, aggregator } = pipeline;
  const { stated } = aggregator.gaps.late;
  const replica = elector && new Replica({ ...settings, elector, watch, takeover, controller, coverage, stated });
  return { ...before, pipeline, replica };
}

/** Creates the client of a process that writes reports. */
export function createClient(settings: OperatorSettings, passing: RequestCounters, steps: StopSteps): KubeClient {
  const { config, kubeConfig, version, clock } = settings;
  const client = new KubeClient({
    ...{ kubeConfig, version, clock },
    timeoutMs: config.reports.writeTimeoutMs,
    observe: (call) => passing.countCall(call),
  });
  steps.onStop("kubernetes client", () => client.close());
  return client;
}

function createElector(
  { config, clock, logger }: OperatorSettings,
  client: KubeClient,
  steps: StopSteps,
): LeaderElector | undefined {
  if (!config.leaderElection.enabled) return undefined;
  const elector = new LeaderElector(toElectorOptions(config), client, clock, logger);
  steps.onStop("lease", () => elector.release());
  return elector;
}

function createContext(
  settings: OperatorSettings,
  client: KubeClient,
  elector: LeaderElector | undefined,
  steps: StopSteps,
): ClusterContext {
  const context = new ClusterContext({ ...settings, client, isLeader: () => elector?.isLeader ?? true });
  steps.onStop("cluster context", () => context.ended);
  return context;
}

/** Starts the recorder of Events; undefined where they are switched off. */
export function createRecorder(
  { config, clock, logger }: OperatorSettings,
  client: KubeClient,
  steps: StopSteps,
): Recorder | undefined {
  const { events, identity, shutdown } = config;
  if (!events.enabled) return undefined;
  const recorder = new Recorder(
    {
      ...events,
      overall: events,
      perRegarding: { perSecond: 1000 / events.perObjectIntervalMs, burst: events.perObjectBurst },
    },
    createEventSink({ client, reportingInstance: identity }),
    clock,
    logger,
  );
  steps.onStop("events", () => recorder.stop((shutdown.graceMs * CLOSING_SHARE) / 2));
  return recorder;
}

function createJournaling(
  { config, clock, logger }: OperatorSettings,
  { account, freshWriterId }: { account: string | undefined; freshWriterId: string },
  steps: StopSteps,
): Journaling | undefined {
  const { path, maxBytes, batchIntervalMs } = config.journal;
  if (path === "") return undefined;
  const open = createSqliteJournal({ path, maxBytes, account });
  const journaling = new Journaling({ open, batchIntervalMs, freshWriterId, clock, logger });
  steps.onStop("journal", () => journaling.close());
  return journaling;
}

function createPipeline(
  { config, clock, logger }: OperatorSettings,
  writerId: string,
  before: Omit<OperatorParts, "pipeline" | "replica">,
): Pipeline {
  const { passing, client, elector, context, recorder, journaling, source } = before;
  const sink = createClusterSink({ client, logger, clusterName: config.cluster.name });
  const memory = limitToHeap(config.memory, logger);
  return new Pipeline(toPipelineOptions({ ...config, memory }, writerId), {
    ...{ journaling, clock, logger, ...context.catalogs },
    sink: elector ? guardLeader(sink, elector) : sink,
    events: recorder ?? { record() {} },
    self: ownObject(config),
    otherNowMs: () => client.serverNowMs(),
    onWriteResult: (kind, durationMs) => passing.countWrite(kind, durationMs),
    onRejected: logRejections(logger),
    ...(config.feed.mode === "relay" ? {} : { nodes: () => source.nodes }),
  });
}

/** Logs the first rejection of each reason, then each power of ten: a broken sender must not fill the log. */
function logRejections(logger: Logger): (reason: string, detail: string) => void {
  const counts = new Map<string, number>();
  return (reason, detail) => {
    const count = (counts.get(reason) ?? 0) + 1;
    counts.set(reason, count);
    if (Number.isInteger(Math.log10(count))) {
      logger.warn({ reason, detail, count }, "alert rejected");
    }
  };
}
