// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What the leader reads of the cluster for its reports, besides the alerts.
// Invariant: followed only while this process leads; reports wait for it for a moment, and never for long.

import type { Pipeline } from "./controller/pipeline.ts";
import type { KubeClient } from "./kube/client.ts";
import type { Clock } from "./lib/clock.ts";
import { PolicyWatch } from "./policies/policy-watch.ts";
import type { Logger } from "./telemetry/log.ts";

export interface ClusterContextParts {
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** Asked only once the pipeline is there. */
  pipeline: () => Pipeline;
}

/** Policies that are not known by then are told as unknown, and the reports are written again when they are. */
const READY_MS = 5000;

/** Follows what reports refer to. */
export class ClusterContext {
  readonly policies: PolicyWatch;
  /** Resolves when nothing is followed any more. */
  ended: Promise<void> = Promise.resolve();
  readonly #clock: Clock;

  constructor({ client, clock, logger, pipeline }: ClusterContextParts) {
    this.#clock = clock;
    this.policies = new PolicyWatch({
      client,
      clock,
      logger,
      onChange: (names) => pipeline().context.policiesChanged(names),
    });
  }

  /** Follows until the signal aborts; resolves when all has been asked for once, within 5 s. */
  async follow(signal: AbortSignal): Promise<void> {
    await this.ended;
    this.ended = this.policies.run(signal);
    await this.#ready(signal);
  }

  async #ready(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    await Promise.race([this.policies.ready(), this.#clock.sleep(READY_MS, until)]);
    over.abort();
  }
}
