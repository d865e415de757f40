// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tests that need more than Node: Kubernetes parts, a relay in Go, and other programs.

import { afterAll, beforeAll, describe } from "vitest";
import { type Cluster, type ClusterOptions, findClusterObstacle, startCluster } from "../../tools/cluster/cluster.ts";

/** Tests on real programs; outside CI left out where a program is missing, with the reason in the title. */
export function describeReal(title: string, tests: () => void, missing = findClusterObstacle()): void {
  describe.skipIf(missing !== undefined && !process.env["CI"])(`${title} (${missing ?? "real parts"})`, tests);
}

/** Objects that a control plane has from the start. */
export interface ClusterContent {
  /** Applies crds/. */
  crds?: boolean;
  namespaces?: readonly string[];
}

/** A control plane that runs from before the tests of this block until after them. */
export function useCluster({ crds, namespaces = [], ...options }: ClusterOptions & ClusterContent = {}): Cluster {
  let started: Cluster | undefined;
  beforeAll(async () => {
    started = await startCluster(options);
    if (crds) await started.applyCrds();
    for (const name of namespaces) await started.kubectl(["create", "namespace", name]);
  });
  afterAll(() => started?.stop());
  // Its members are functions and texts, which need no `this`.
  return new Proxy({} as Cluster, { get: (_, key) => Reflect.get(started ?? {}, key) });
}
