// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The configuration as the pipeline and the election take it.

import type { Config } from "../../config/config.ts";
import type { Regarding } from "../../events/event-recorder.ts";
import type { PipelineOptions } from "./pipeline.ts";

/** Takes the pipeline's options from the configuration; `writerId` as in PipelineOptions. */
export function toPipelineOptions(config: Config, writerId: string | undefined): PipelineOptions {
  const { reports, severity, memory, duplicates, redaction, events, leaderElection } = config;
  return {
    limits: reports,
    severity: severity.thresholds,
    pace: reports,
    writesPerSecond: reports.writesPerSecond,
    writeBurst: reports.writeBurst,
    memory,
    duplicates,
    redaction,
    retention: { retentionMs: reports.retentionMs, sweepMs: reports.retentionSweepMs },
    gapEventMs: events.minGapMs,
    writerId,
    ...(writerId !== undefined && leaderElection.enabled ? { standby: toStandbyOptions(config) } : {}),
  };
}

/** Estimated heap size of one violation of one pod in a standby, with its evidence. */
const BYTES_PER_CELL = 2048;

/** A standby has nothing in its ledgers, so its alerts may take their memory. */
function toStandbyOptions({ standby, reports, memory }: Config): PipelineOptions["standby"] & object {
  return {
    maxAlerts: standby.maxAlerts,
    maxCells: Math.min(standby.maxViolations, Math.floor(memory.limitBytes / BYTES_PER_CELL)),
    maxPodsPerViolation: reports.maxPodsPerViolation,
    overlapMs: standby.overlapMs,
  };
}

/** A pod's name as a Deployment and its ReplicaSet make it: two hashes of Kubernetes' alphabet, which has no vowels. */
const OF_A_DEPLOYMENT = /^(.+)-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}$/;

/**
 * Returns the object of Events about the operator itself: its Deployment, derived from its pod's name, else its
 * namespace.
 */
export function ownObject(config: Config): Regarding {
  const namespace = config.leaderElection.leaseNamespace;
  const name = OF_A_DEPLOYMENT.exec(config.identity)?.[1];
  return name === undefined
    ? { kind: "Namespace", namespace, name: namespace }
    : { kind: "Deployment", namespace, name };
}

export function toElectorOptions({ identity, leaderElection }: Config) {
  const { leaseNamespace: namespace, leaseName: name, ...times } = leaderElection;
  return { namespace, name, identity, ...times };
}
