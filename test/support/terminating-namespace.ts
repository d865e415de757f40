// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A namespace in the state in which a real one is for seconds to minutes while it is deleted.

import type { Cluster } from "../../tools/cluster/cluster.ts";

/** Deletes a namespace, which a finalizer holds; returns the function that releases it. */
export async function beginDeletion(cluster: Cluster, namespace: string): Promise<() => Promise<string>> {
  const metadata = { name: "holder", namespace, finalizers: ["a.b/c"] };
  await cluster.apply(`${JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata })}\n`);
  await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
  const patch = '{"metadata":{"finalizers":[]}}';
  return () => cluster.kubectl(["patch", "cm", "-n", namespace, "holder", "--type=merge", "-p", patch]);
}
