// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The connection to NATS and the Leases, as the settings of `scale` demand.
// Invariant: the NATS client is loaded here, by a dynamic import, and nowhere else.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../../config/config.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import type { LeaseGroupOptions } from "../../scale/leases/lease-group.ts";
import { type Bus, BusError, type NatsSecret, SECRET_KEYS } from "../../scale/stream/bus.ts";

/** Creates the connection; it is opened with its first use. */
export async function createBus(config: Config, logger: Logger, clock: Clock): Promise<Bus> {
  const { NatsBus } = await import("../../scale/stream/nats-bus.ts");
  const { url, stream, subjectPrefix, replicas, maxAgeMs, maxBytes, secretPath } = config.scale.nats;
  return new NatsBus(
    {
      url,
      name: config.identity,
      stream,
      prefix: subjectPrefix,
      replicas,
      maxAgeMs,
      maxBytes,
      partitions: config.scale.partitions,
      shards: config.scale.shards,
      nowMs: () => clock.nowMs(),
      readSecret: () => readSecretFiles(secretPath),
    },
    logger,
  );
}

/** Options of the Leases of one kind of replicas. */
export function toLeaseOptions(
  config: Config,
  kind: Pick<LeaseGroupOptions, "member" | "part" | "count">,
): LeaseGroupOptions {
  return { ...toLeaderOptions(config), ...kind, leaseName: config.leaderElection.leaseName };
}

/** Options of a Lease but for its name. */
export function toLeaderOptions({ identity, leaderElection }: Config) {
  const { leaseNamespace: namespace, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = leaderElection;
  return { namespace, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs };
}

/** Reads the keys that are there; none without a directory. */
async function readSecretFiles(path: string): Promise<NatsSecret> {
  const secret: NatsSecret = {};
  if (path === "") return secret;
  for (const key of SECRET_KEYS) {
    try {
      const text = await readFile(join(path, key), "utf8");
      // A file that an editor made ends with a line break.
      secret[key] = /^(?:user|password|token)$/.test(key) ? text.trim() : text;
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT") throw new BusError(`scale.nats.secretPath: ${key} can't be read: ${code}`);
    }
  }
  if (Object.keys(secret).length === 0)
    throw new BusError(`scale.nats.secretPath: ${path} has none of ${SECRET_KEYS.join(", ")}`);
  return secret;
}
