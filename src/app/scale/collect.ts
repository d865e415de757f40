// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `collect`: a reader, which reads its share of the nodes and publishes the counts.

import { randomBytes } from "node:crypto";
import { NodeSource } from "../../alerts/node-source.ts";
import { KubeClient } from "../../kube/client.ts";
import { LeaseGroup } from "../../scale/leases/lease-group.ts";
import { Reader } from "../../scale/reader/reader.ts";
import type { Bus } from "../../scale/stream/bus.ts";
import type { Health } from "../../telemetry/health.ts";
import { monitorEventLoopStalls } from "../event-loop-monitor.ts";
import { toSourceOptions } from "../feed/configured-source.ts";
import { followKubeArmorPods } from "../feed/kubearmor-pods.ts";
import { createRelaySecurity } from "../feed/relay-security.ts";
import { limitToHeap } from "../heap-limits.ts";
import type { OperatorSettings } from "../operator-parts.ts";
import { RequestCounters } from "../request-counters.ts";
import { startServers } from "../servers.ts";
import { StopSteps } from "../stop-steps.ts";
import { createBus, findObstacle, toLeaseOptions, tryOpen } from "./scale-bus.ts";
import { createReaderMetrics } from "./scale-process-metrics.ts";

/** Reads until the signal aborts, then publishes pending counts within the grace period. Returns the exit code. */
export async function runCollector(parts: OperatorSettings, stop: AbortSignal): Promise<number> {
  const steps = new StopSteps(parts.logger);
  return await steps.cover(() => collect(parts, steps, stop));
}

async function collect(parts: OperatorSettings, steps: StopSteps, stop: AbortSignal): Promise<number> {
  const { config, kubeConfig, logger, clock, version } = parts;
  const { shards, partitions, foldMs, nats } = config.scale;
  logger.info({ version, server: kubeConfig.server, nats: nats.url, stream: nats.stream }, "starting reader");
  const passing = new RequestCounters();
  const client = new KubeClient({ kubeConfig, version, clock, observe: (call) => passing.countCall(call) });
  steps.onStop("kubernetes client", () => client.close());
  const bus = await createBus(config, logger, clock);
  steps.onStop("stream", () => bus.close());
  const sourceOptions = toSourceOptions(config, createRelaySecurity(config, client, clock, logger));
  const memory = limitToHeap(config.memory, logger);
  const graceMs = config.shutdown.graceMs / 2;
  const reader = new Reader(
    {
      shards,
      partitions,
      foldMs,
      graceMs,
      processId: `${config.identity}.${randomBytes(4).toString("hex")}`,
      memory: share(memory, shards),
      duplicates: config.duplicates,
      redaction: config.redaction,
    },
    {
      bus,
      clock,
      logger,
      followNodes: followKubeArmorPods({ client, clock }, logger),
      createSource: (followNodes) => new NodeSource({ ...sourceOptions, followNodes }, clock, logger),
    },
  );
  const group = new LeaseGroup(toLeaseOptions(config, { member: "reader", part: "shard", count: shards }), {
    client,
    clock,
    logger,
    findObstacle: () => findObstacle(bus),
    hold: (part) => reader.hold(part),
    storedUntilMs: (index) => reader.storedUntilMs(index),
    missingSinceMs: (index) => reader.missingSinceMs(index),
  });
  const source = createReaderMetrics({ reader, group, bus, passing });
  const readiness = (): Health => computeReadiness(group, reader, bus);
  steps.onStop("http servers", await startServers({ ...parts, source, passing, readiness }));
  const end = new AbortController();
  const endWatch = monitorEventLoopStalls(clock, (ms) => reader.onEventLoopStall(ms));
  const reading = reader.run(end.signal);
  await tryOpen(bus);
  await group.run(stop);
  logger.info({ graceMs }, "shutting down, publishing counts");
  await reader.publisher.close(deadline(graceMs, clock));
  end.abort();
  endWatch();
  await reading;
  await steps.run();
  const { counters, dropped } = reader;
  const unpublished = counters.counted - reader.publisher.published;
  logger.info({ ...counters, published: reader.publisher.published, unpublished, dropped }, "reader stopped");
  return unpublished === 0 ? 0 : 1;
}

function deadline(ms: number, clock: OperatorSettings["clock"]): AbortSignal {
  const limit = new AbortController();
  clock.after(ms, () => limit.abort());
  return limit.signal;
}

/** Bounds of one shard: a reader may come to hold all of them. */
function share<T extends { maxViolations: number; limitBytes: number }>(memory: T, shards: number): T {
  return {
    ...memory,
    maxViolations: Math.ceil(memory.maxViolations / shards),
    limitBytes: Math.ceil(memory.limitBytes / shards),
  };
}

/**
 * Ready: the replicas are known, and the stream was open once: with a wrong address or wrong credentials a rollout ends
 * here. While the server is away everything is counted, and published later.
 */
function computeReadiness(group: LeaseGroup, { nodes }: Reader, { hasOpened, problem }: Bus): Health {
  const isKnown = group.problem === undefined;
  return {
    ok: isKnown && hasOpened,
    checks: {
      shards: { ok: isKnown, detail: group.problem ?? `${group.held.size} held` },
      nodes: { ok: true, detail: `${nodes.connected} of ${nodes.desired} connected` },
      stream: { ok: hasOpened, detail: problem ?? "open" },
    },
  };
}
