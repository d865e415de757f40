// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The alert source that reads nodes where they can be reached, and else the relay. It decides once, at the start.
// Invariant: alerts of one of the two only are handed over.

import type { CoveredNodes } from "../api/v1alpha1.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { SETTLE_MS } from "./node-coverage.ts";

export interface CountedSource extends AlertSource {
  readonly nodes: CoveredNodes;
  readonly problem: string | undefined;
}

/** For the list of pods and the first connections; a cluster that answers decides after SETTLE_MS. */
const DECIDE_MS = 2 * SETTLE_MS;

export class AutoSource implements AlertSource {
  readonly #nodeSource: CountedSource;
  readonly #relaySource: AlertSource;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #choice: "none" | "nodes" | "relay" = "none";

  constructor(nodeSource: CountedSource, relaySource: AlertSource, clock: Clock, logger: Logger) {
    this.#nodeSource = nodeSource;
    this.#relaySource = relaySource;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Undefined where the relay is read. */
  get nodes(): CoveredNodes | undefined {
    return this.#choice === "relay" ? undefined : this.#nodeSource.nodes;
  }

  get problem(): string | undefined {
    return this.#choice === "relay" ? undefined : this.#nodeSource.problem;
  }

  async run(listener: AlertListener, signal: AbortSignal): Promise<void> {
    const stop = new AbortController();
    const cancel = this.#clock.after(DECIDE_MS, () => this.#chooseSource(stop));
    await this.#nodeSource.run(this.#watch(listener, stop), AbortSignal.any([signal, stop.signal]));
    cancel();
    if (!signal.aborted) await this.#relaySource.run(listener, signal);
  }

  /** Chooses the nodes where at least one is connected. */
  #chooseSource(stop: AbortController): void {
    if (this.#choice !== "none") return;
    const { nodes } = this.#nodeSource;
    this.#choice = nodes.connected > 0 ? "nodes" : "relay";
    this.#logger.info({ feed: this.#choice, ...nodes }, "alert source chosen");
    if (this.#choice === "relay") stop.abort();
  }

  #watch(listener: AlertListener, stop: AbortController): AlertListener {
    const isOurs = () => this.#choice !== "relay";
    return {
      onAlert: (alert, line) => void (isOurs() && listener.onAlert(alert, line)),
      onRejected: (reason, detail, line) => void (isOurs() && listener.onRejected(reason, detail, line)),
      onConnected: (ended) => {
        this.#chooseSource(stop);
        if (isOurs()) listener.onConnected(ended);
      },
      onDisconnected: (disconnect) => void (isOurs() && listener.onDisconnected(disconnect)),
    };
  }
}
