// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `run` with `scale.enabled`: an owner, which writes the reports of its partitions from what readers publish.

import type { Config } from "../../config/config.ts";
import type { EventRecorder } from "../../events/event-recorder.ts";
import { createThrottleUpdate, recordEventUpdates } from "../../events/event-updates.ts";
import { GapEvents } from "../../events/gap-events.ts";
import { LeaderElector } from "../../leadership/election/leader-elector.ts";
import type { ClaimFacts } from "../../leadership/election/lease-claim.ts";
import { waitForAbort } from "../../lib/clock.ts";
import { LeaseGroup, toPartLeaseName } from "../../scale/leases/lease-group.ts";
import { PartLeases } from "../../scale/leases/part-leases.ts";
import type { OwnerOptions } from "../../scale/owner/owner-parts.ts";
import { Owners } from "../../scale/owner/owners.ts";
import type { Bus } from "../../scale/stream/bus.ts";
import { createClusterSink } from "../../sinks/cluster-sink.ts";
import type { Health } from "../../telemetry/health.ts";
import { ClusterContext } from "../cluster-context.ts";
import { limitToHeap } from "../heap-limits.ts";
import { createClient, createRecorder, type OperatorSettings } from "../operator-parts.ts";
import { ownObject, toElectorOptions, toPipelineOptions } from "../pipeline/pipeline-options.ts";
import { RequestCounters } from "../request-counters.ts";
import { startServers } from "../servers.ts";
import { StopSteps } from "../stop-steps.ts";
import { createBus, findObstacle, toLeaseOptions, tryOpen } from "./scale-bus.ts";
import { createOwnerMetrics } from "./scale-process-metrics.ts";

/** Messages that are logged for each reason that they are skipped. */
const MAX_LOGGED = 5;

/** Owns partitions until the signal aborts, then writes pending counts within the grace period. Returns the exit code. */
export async function runOwner(parts: OperatorSettings, stop: AbortSignal): Promise<number> {
  const steps = new StopSteps(parts.logger);
  return await steps.cover(() => ownPartitions(parts, steps, stop));
}

async function ownPartitions(parts: OperatorSettings, steps: StopSteps, stop: AbortSignal): Promise<number> {
  const { config, kubeConfig, logger, clock, version } = parts;
  const { partitions, nats } = config.scale;
  logger.info({ version, server: kubeConfig.server, nats: nats.url, stream: nats.stream }, "starting owner");
  const passing = new RequestCounters();
  const client = createClient(parts, passing, steps);
  const bus = await createBus(config, logger, clock);
  steps.onStop("stream", () => bus.close());
  const recorder = createRecorder(parts, client, steps);
  const elector = new LeaderElector(toElectorOptions(config), client, clock, logger);
  const partLeases = new PartLeases({ names: toPartNames(config), ...config.leaderElection }, clock);
  const context = new ClusterContext({ ...parts, client, isLeader: () => elector.isLeader, isDivided: true });
  const owners = new Owners(partitions, toOwnerOptions(parts), {
    bus,
    sink: createClusterSink({ client, logger, clusterName: config.cluster.name }),
    clock,
    logger,
    ...context.catalogs,
    otherNowMs: () => client.serverNowMs(),
    missingSinceMs: () => partLeases.missingSinceMs,
    onResult: (kind, durationMs) => passing.countWrite(kind, durationMs),
    onWritten: (_ledger, report) => context.catalogs.onReport?.(report),
    recordWritten:
      recorder && ((ledger, report) => recordEventUpdates(ledger, report, (update) => recorder.record(update))),
    onLoaded: () => context.acceptances.onReportsLoaded(),
    onThrottled: (notice) => {
      const update = createThrottleUpdate(notice);
      if (update) recorder?.record(update);
    },
    onSkipped: (partition, reason, detail) => {
      if (owners.counters.skipped[reason] > MAX_LOGGED || reason === "duplicate") return;
      logger.error({ partition, reason, detail, stream: nats.stream }, "message skipped");
    },
  });
  context.observe(owners);
  const gapEvents = createGapEvents(parts, recorder);
  steps.onStop("gap events", () => gapEvents.stop());
  const group: LeaseGroup = new LeaseGroup(
    toLeaseOptions(config, { member: "owner", part: "partition", count: partitions }),
    {
      client,
      clock,
      logger,
      findObstacle: () => findObstacle(bus),
      hold: (part) => owners.hold(part),
      missingSinceMs: (index) => owners.pendingSinceMs(index),
      onLeases: (leases) => {
        partLeases.observe(leases);
        gapEvents.setGap("NodeDown", elector.isLeader ? partLeases.missingSinceMs : undefined);
      },
    },
  );
  const source = createOwnerMetrics({ owners, group, bus, passing, context, recorder, config });
  const readiness = () => computeReadiness(group, owners, bus);
  steps.onStop("http servers", await startServers({ ...parts, source, passing, readiness }));
  const following = new AbortController();
  await context.follow(following.signal);
  await tryOpen(bus, (answer) => logger.error({ answer }, "stream not available, retrying"));
  const leading = keepLeading(elector, { missingSinceMs: () => partLeases.missingSinceMs }, stop);
  await group.run(stop);
  await leading;
  following.abort();
  await context.ended;
  await steps.run();
  const { added, lost, moved } = owners.counters;
  logger.info({ added, lost, moved }, "owner stopped");
  return 0;
}

/**
 * Leads for what only one owner does, the copies as OpenReports; the Lease also shows that an owner runs, and since when
 * a shard is not read or a partition not written.
 */
async function keepLeading(elector: LeaderElector, facts: ClaimFacts, stop: AbortSignal): Promise<void> {
  for (let term = await elector.acquire(stop, facts); term; term = await elector.acquire(stop, facts)) {
    await waitForAbort(AbortSignal.any([term, stop]));
    if (stop.aborted) break;
  }
  await elector.release();
}

/** Events of the leader on the operator itself, while counts of some nodes are missing. */
function createGapEvents({ config, clock }: OperatorSettings, recorder: EventRecorder | undefined): GapEvents {
  return new GapEvents({
    events: recorder ?? { record() {} },
    clock,
    self: ownObject(config),
    afterMs: config.events.minGapMs,
    describe: (seconds) =>
      `Counts of some nodes have not reached the reports for more than ${seconds} s: nodes are not read, a reader ` +
      "or an owner is missing, or NATS can't be reached. Where alerts are lost, reports have coverage.lowerBound " +
      "true and list the gap.",
  });
}

function toPartNames({ leaderElection: { leaseName }, scale: { shards, partitions } }: Config): string[] {
  const listNames = (part: string, count: number) =>
    Array.from({ length: count }, (_, index) => toPartLeaseName(leaseName, part, index));
  return [...listNames("shard", shards), ...listNames("partition", partitions)];
}

/** Divides the bounds over all reports by the number of partitions: an owner may come to hold all of them. */
function toOwnerOptions({ config, logger }: OperatorSettings): OwnerOptions {
  const { partitions, shards } = config.scale;
  const memory = limitToHeap(config.memory, logger);
  const { writesPerSecond, writeBurst, ...options } = toPipelineOptions(config, undefined);
  return {
    ...options,
    shards,
    writesPerSecond: writesPerSecond / partitions,
    writeBurst: Math.max(1, writeBurst / partitions),
    graceMs: config.shutdown.graceMs * 0.7,
    memory: {
      ...memory,
      maxViolations: Math.ceil(memory.maxViolations / partitions),
      limitBytes: Math.ceil(memory.limitBytes / partitions),
      maxReports: Math.ceil(memory.maxReports / partitions),
    },
  };
}

/** Ready: the replicas are known, the stream was open once, and every partition that is held is written. */
function computeReadiness(group: LeaseGroup, owners: Owners, { hasOpened }: Bus): Health {
  const { problem } = owners;
  const isKnown = group.problem === undefined;
  const refusal = owners.lives.map(({ controller }) => controller.commonRefusal).find(Boolean);
  return {
    ok: isKnown && hasOpened && refusal === undefined,
    checks: {
      partitions: { ok: isKnown, detail: group.problem ?? `${group.held.size} held` },
      // The stream holds everything meanwhile.
      stream: { ok: hasOpened, detail: problem ?? "read" },
      writes: refusal === undefined ? { ok: true } : { ok: false, detail: refusal },
    },
  };
}
