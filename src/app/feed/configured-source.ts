// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Builds the alert source that `feed.mode` demands.
// Invariant: no logic beyond that choice.

import type { AlertSource } from "../../alerts/alert-source.ts";
import { AutoSource } from "../../alerts/auto-source.ts";
import { NodeSource } from "../../alerts/node-source.ts";
import { createRelaySource } from "../../alerts/relay-source.ts";
import type { ChooseSecurity } from "../../alerts/tls/mode.ts";
import type { CoveredNodes } from "../../api/v1alpha1.ts";
import type { Config } from "../../config/config.ts";
import type { KubeClient } from "../../kube/client.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { followKubeArmorPods } from "./kubearmor-pods.ts";
import { createRelaySecurity } from "./relay-security.ts";

export interface ConfiguredSource extends AlertSource {
  /** Undefined where the relay is read. */
  readonly nodes?: CoveredNodes | undefined;
  /** A missing node and why; undefined where none is missing or the relay is read. */
  readonly problem?: string | undefined;
}

/** `onExpiry` gets the expiry of the certificates in use. */
export function createConfiguredSource(
  { config, clock, logger }: { config: Config; clock: Clock; logger: Logger },
  client: KubeClient,
  onExpiry: (expiresMs: number | undefined) => void,
): ConfiguredSource {
  const { mode, relay } = config.feed;
  const options = toSourceOptions(config, createRelaySecurity(config, client, clock, logger, onExpiry));
  const toRelay = () =>
    createRelaySource({ ...options, address: relay.address, serverName: relay.tls.serverName }, clock, logger);
  if (mode === "relay") return toRelay();
  const followNodes = followKubeArmorPods({ client, clock }, logger);
  const toNodes = new NodeSource({ ...options, followNodes }, clock, logger);
  return mode === "nodes" ? toNodes : new AutoSource(toNodes, toRelay(), clock, logger);
}

/** Options of every stream of alerts. */
export function toSourceOptions({ feed: { relay } }: Config, security: ChooseSecurity) {
  return {
    maxMessageBytes: relay.maxMessageBytes,
    healthIntervalMs: relay.healthCheckIntervalMs,
    backoffMaxMs: relay.reconnectMaxMs,
    security,
  };
}
