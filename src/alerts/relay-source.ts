// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the feed from KubeArmor's relay (or one node's daemon: they speak the same): its options and its parts.
// Invariant: transport failures never end it.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { ReconnectingSource } from "./reconnecting-source.ts";
import { ReconnectingFeed } from "./reconnecting-source.ts";
import { type SecuredStreamOptions, securedStream } from "./secured-stream.ts";
import { plaintext } from "./tls/mode.ts";

export interface RelayFeedOptions extends Omit<SecuredStreamOptions, "security"> {
  /** Default plaintext. */
  security?: SecuredStreamOptions["security"];
  /** The longest wait before the first retry; default 250 ms. */
  backoffBaseMs?: number;
  /** The longest wait before any retry; default 10 s. */
  backoffMaxMs?: number;
}

/**
 * Returns the feed of a relay's alerts. It reconnects for ever with full jitter, takes an end with status OK for a
 * disconnect, and finds a dead connection by HealthChecks. Its `run` rejects only for an address that is none.
 */
export function relaySource(options: RelayFeedOptions, clock: Clock, logger: Logger): ReconnectingSource {
  return new ReconnectingFeed(
    securedStream({ ...options, security: options.security ?? plaintext }, clock),
    {
      name: options.address,
      backoffBaseMs: options.backoffBaseMs ?? 250,
      backoffMaxMs: options.backoffMaxMs ?? 10_000,
    },
    clock,
    logger,
  );
}
