// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The alert source of KubeArmor's relay, or of one node's daemon: they speak the same protocol.
// Invariant: failures of the transport never end it.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { ReconnectingSource, type ReconnectOptions } from "./reconnecting-source.ts";
import { createSecuredStream, type SecuredStreamOptions } from "./secured-stream.ts";
import { plaintext } from "./tls/mode.ts";

export interface RelaySourceOptions extends Omit<SecuredStreamOptions, "security">, Omit<ReconnectOptions, "name"> {
  /** Default plaintext. */
  security?: SecuredStreamOptions["security"];
}

/**
 * Returns the source of a relay's alerts. It reconnects forever with full jitter, treats an end with status OK as a
 * disconnect, and detects dead connections by HealthChecks.
 */
export function createRelaySource(options: RelaySourceOptions, clock: Clock, logger: Logger): ReconnectingSource {
  return new ReconnectingSource(
    createSecuredStream({ ...options, security: options.security ?? plaintext }, clock),
    { ...options, name: options.address },
    clock,
    logger,
  );
}
