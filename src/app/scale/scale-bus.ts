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
import { type Bus, BusError, isBusError, type NatsSecret, SECRET_KEYS } from "../../scale/stream/bus.ts";
import { toElectorOptions } from "../pipeline/pipeline-options.ts";

/** Creates the connection; it is opened with its first use. */
export async function createBus(config: Config, logger: Logger, clock: Clock): Promise<Bus> {
  const { NatsBus } = await import("../../scale/stream/nats-bus.ts");
  const { partitions, shards, nats } = config.scale;
  const { subjectPrefix: prefix, secretPath, ...options } = nats;
  return new NatsBus(
    {
      ...{ ...options, prefix, partitions, shards },
      name: config.identity,
      nowMs: () => clock.nowMs(),
      readSecret: () => readSecretFiles(secretPath),
    },
    logger,
  );
}

/** Opens the stream, so that it is known if this process can use it; a server that is away can't say. */
export async function tryOpen(bus: Bus, onProblem: (answer: string) => void = () => {}): Promise<void> {
  try {
    await bus.open();
  } catch (error) {
    if (!isBusError(error)) throw error;
    onProblem(error.message);
  }
}

/** Returns why this process can use nothing of the stream; a person may have changed that when it is asked again. */
export function findObstacle(bus: Bus): string | undefined {
  if (bus.mismatch !== undefined) void tryOpen(bus);
  return bus.mismatch;
}

export function toLeaseOptions(
  config: Config,
  kind: Pick<LeaseGroupOptions, "member" | "part" | "count">,
): LeaseGroupOptions {
  return { ...toElectorOptions(config), ...kind, leaseName: config.leaderElection.leaseName };
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
