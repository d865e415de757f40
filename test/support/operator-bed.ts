// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Set-ups that end-to-end tests share: a KubeArmor node with an operator that reads it, and a folder with the plugin.

import { dirname, join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { buildPlugin } from "../../plugin/build.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { type RunResult, run } from "../../tools/cluster/process.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { getPaths, locateParts } from "../../tools/parts/parts.ts";
import { createFolder } from "./folder.ts";
import { type OperatorOptions, OperatorProcess } from "./operator.ts";

/** Writes soon, and leads through a Lease in `kubearmor`, where the plugin looks for it. */
export const LEADING = {
  leaderElection: true,
  env: { PVO_LEADER_ELECTION_LEASE_NAMESPACE: "kubearmor", PVO_REPORTS_MIN_INTERVAL_MS: "200" },
};

export interface OperatorBed {
  /** Runs from before the tests. */
  readonly node: KubeArmorNode;
  /** The last one that was started. */
  readonly operator: OperatorProcess;
  /** Starts an operator, once another one has ended; resolves when it reads the node. */
  start(options?: Partial<OperatorOptions>): Promise<OperatorProcess>;
}

/** A node that runs from before the tests of this block until after them; operators end with it. */
export function useNode(cluster: Cluster, options: Parameters<typeof startNode>[0] = {}): OperatorBed {
  let node: KubeArmorNode | undefined;
  let operator: OperatorProcess | undefined;
  beforeAll(async () => {
    node = await startNode(options);
  });
  afterAll(async () => {
    await operator?.kill();
    await node?.stop();
  });
  return {
    get node() {
      return node as KubeArmorNode;
    },
    get operator() {
      return operator as OperatorProcess;
    },
    async start(more = {}) {
      operator = new OperatorProcess({ kubeconfig: cluster.kubeconfigPath, relay: this.node.address, ...more });
      await this.node.waitForClients();
      return operator;
    },
  };
}

export interface PluginFolder {
  /** Home of who runs the plugin; `bin` has the plugin. */
  readonly dir: string;
  /** Environment in which kubectl and programs of `bin` are found. */
  readonly env: Record<string, string>;
  /** Runs the real kubectl with the plugin in its PATH. */
  kubectl(args: readonly string[], kubeconfig: string): Promise<RunResult>;
}

/** The plugin, built before the tests of this block. */
export function usePlugin(): PluginFolder {
  const kubectl = getPaths(locateParts()).paths.kubectl ?? "";
  let dir = "";
  beforeAll(async () => {
    dir = createFolder();
    await buildPlugin(join(dir, "bin"));
  });
  return {
    get dir() {
      return dir;
    },
    get env() {
      const PATH = [join(dir, "bin"), dirname(kubectl), process.env["PATH"]].join(":");
      return { PATH, HOME: dir, NO_COLOR: "1" };
    },
    kubectl(args, kubeconfig) {
      return run(kubectl, args, { env: { ...this.env, KUBECONFIG: kubeconfig } });
    },
  };
}
