// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The alert source of KubeArmor's relay, or of one node's daemon: they speak the same protocol.
// Invariant: failures of the transport never end it.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { ReconnectingSource } from "./reconnecting-source.ts";
import { createSecuredStream, type SecuredStreamOptions } from "./secured-stream.ts";
import { plaintext } from "./tls/mode.ts";

export interface RelaySourceOptions extends Omit<SecuredStreamOptions, "security"> {
  /** Default plaintext. */
  security?: SecuredStreamOptions["security"];
  /** The longest wait before the first retry; default 250 ms. */
  backoffBaseMs?: number;
  /** The longest wait before any retry; default 10 s. */
  backoffMaxMs?: number;
}

/**
 * Returns the source of a relay's alerts. It reconnects forever with full jitter, treats an end with status OK as a
 * disconnect, and detects dead connections by HealthChecks.
 */
export function createRelaySource(options: RelaySourceOptions, clock: Clock, logger: Logger): ReconnectingSource {
  return new ReconnectingSource(
    createSecuredStream({ ...options, security: options.security ?? plaintext }, clock),
    {
      name: options.address,
      backoffBaseMs: options.backoffBaseMs ?? 250,
      backoffMaxMs: options.backoffMaxMs ?? 10_000,
    },
    clock,
    logger,
  );
}
