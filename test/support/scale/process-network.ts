// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The network of one process: its ways to the API server and to the NATS servers, each of which can be cut.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../../../tools/cluster/cluster.ts";
import { writeKubeconfig } from "../../../tools/cluster/cluster-access.ts";
import { ADMIN_TOKEN } from "../../../tools/cluster/cluster-files.ts";
import { HeldProxy } from "../held-proxy.ts";

export type Way = "api" | "nats";
type Ways = Record<Way, readonly HeldProxy[]>;

export class ProcessNetwork {
  readonly kubeconfig: string;
  readonly natsUrl: string;
  readonly #ways: Ways;

  private constructor(kubeconfig: string, natsUrl: string, ways: Ways) {
    this.kubeconfig = kubeconfig;
    this.natsUrl = natsUrl;
    this.#ways = ways;
  }

  /** `natsUrls` of servers that announce each other to no client. */
  static async start(name: string, cluster: Cluster, natsUrls: readonly string[]): Promise<ProcessNetwork> {
    const [api, ...nats] = await Promise.all([cluster.url, ...natsUrls].map(startProxy));
    if (!api) throw new Error("no way to the API server");
    const path = join(cluster.dir, `kubeconfig-${name}`);
    const kubeconfig = writeKubeconfig(
      path,
      api.url,
      readFileSync(join(cluster.dir, "certs/apiserver.crt")),
      ADMIN_TOKEN,
    );
    const natsUrl = nats.map(({ url }) => url.replace("https", "nats")).join(",");
    return new ProcessNetwork(kubeconfig, natsUrl, { api: [api], nats });
  }

  /** Nothing comes through any more; connections stay. */
  cut(way: Way): void {
    for (const proxy of this.#ways[way]) proxy.hold();
  }

  /** Everything comes through, also what was sent meanwhile. */
  restore(way: Way): void {
    for (const proxy of this.#ways[way]) proxy.release();
  }

  async stop(): Promise<void> {
    for (const proxy of Object.values(this.#ways).flat()) await proxy.stop();
  }
}

async function startProxy(url: string): Promise<HeldProxy> {
  const proxy = new HeldProxy(url);
  await proxy.start();
  return proxy;
}
