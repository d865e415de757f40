// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One life of an operator that will be killed, and what the node knows of it.

import type { Cluster } from "../../../tools/cluster/cluster.ts";
import type { KubeArmorNode } from "../../../tools/kubearmor-node/node.ts";
import { eventually } from "../eventually.ts";
import { readImageEnv } from "../image-env.ts";
import { OperatorProcess } from "../operator.ts";

export class CrashLife {
  readonly operator: OperatorProcess;
  /** Number of the first alert that the node offered to it. */
  first = 0;
  /** Alerts that the node had sent to earlier lives. */
  sentBefore = 0;
  readonly #node: KubeArmorNode;
  #clientsSeen: number;
  /** Counts, and the time of that reading, in milliseconds since the epoch. */
  readonly #samples: { atMs: number; counted: number }[] = [];

  constructor(cluster: Cluster, node: KubeArmorNode, journalPath: string) {
    this.#node = node;
    this.#clientsSeen = node.getStats().clientsSeen;
    this.operator = new OperatorProcess({
      kubeconfig: cluster.kubeconfigPath,
      relay: node.address,
      env: {
        ...readImageEnv(),
        PVO_JOURNAL_PATH: journalPath,
        PVO_REPORTS_MIN_INTERVAL_MS: "200",
        PVO_REPORTS_MAX_INTERVAL_MS: "1000",
        PVO_FEED_RELAY_RECONNECT_MAX_MS: "200",
        // A start that looks for certificates in the API server has to wait for it.
        PVO_FEED_RELAY_TLS_MODE: "off",
      },
    });
  }

  /** Resolves when it reads the node. */
  async begin(): Promise<void> {
    const node = this.#node;
    await eventually("the operator reads", () => node.getStats().clientsSeen > this.#clientsSeen, 120_000);
    const { clientsSeen, pushed, sent } = node.getStats();
    this.#clientsSeen = clientsSeen;
    const client = node.clients[0];
    this.first = pushed - (client?.offered ?? 0);
    this.sentBefore = sent - (client?.sent ?? 0);
  }

  /** True where it has read over more than one stream. */
  get isStreamBroken(): boolean {
    return this.#node.clients.length !== 1 || this.#node.getStats().clientsSeen !== this.#clientsSeen;
  }

  async readCounted(): Promise<number> {
    return await this.operator.readMetric("alerts_counted_total");
  }

  /** Notes the count of now, where the process answers. */
  async sampleCount(): Promise<void> {
    const counted = await this.readCounted().catch(() => undefined);
    if (counted !== undefined) this.#samples.push({ atMs: Date.now(), counted });
  }

  /** The newest noted count from before this time. */
  countBefore(ms: number): number {
    return this.#samples.findLast(({ atMs }) => atMs <= ms)?.counted ?? 0;
  }

  /** Waits until it counts `more` alerts: it may find its stream dead once it goes on. */
  async waitForCounted(more: number): Promise<void> {
    const before = await this.readCounted();
    await eventually("the operator reads again", async () => (await this.readCounted()) >= before + more, 120_000);
  }

  /** Its count once nothing more arrives. */
  async waitForSettledCount(): Promise<number> {
    for (let before = -1; ; ) {
      const counted = await this.readCounted();
      if (counted === before) return counted;
      before = counted;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}
