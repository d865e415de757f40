// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Logs Events that could not be sent: at most one line a minute. The counters hold the number of failures.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { EventUpdate } from "./event-recorder.ts";

const INTERVAL_MS = 60_000;

export class FailureLog {
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #logger: Logger;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, "monotonicMs">, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  warn({ regarding: { kind, name } }: EventUpdate, message: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lastMs < INTERVAL_MS) return;
    this.#lastMs = nowMs;
    this.#logger.warn({ regarding: `${kind} ${name}`, error: message }, "failed to send Event");
  }
}
