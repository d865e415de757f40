// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Logs Events that could not be sent: at most one line a minute. The counters hold the number of failures.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { EventUpdate } from "./event-recorder.ts";

const INTERVAL_MS = 60_000;

/** Returns what logs that an Event could not be sent, and why. */
export function createFailureLog(
  clock: Pick<Clock, "monotonicMs">,
  logger: Logger,
): (occurrence: EventUpdate, message: string) => void {
  let lastMs = Number.NEGATIVE_INFINITY;
  return ({ regarding: { kind, name } }, message) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < INTERVAL_MS) return;
    lastMs = nowMs;
    logger.warn({ regarding: `${kind} ${name}`, error: message }, "failed to send Event");
  };
}
