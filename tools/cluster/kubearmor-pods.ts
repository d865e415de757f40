// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pod objects by which readers of nodes, and KubeArmor's relay, find KubeArmor's daemons.

import type { Cluster } from "./cluster.ts";

/** The port on which readers dial a daemon. */
export const DAEMON_PORT = 32_767;

export interface DaemonPod {
  name: string;
  ip: string;
  /** Default: not scheduled. */
  node?: string;
  /** Value of the label `kubearmor-app`; default `kubearmor`. */
  app?: string;
}

/** Creates the pod of a daemon in namespace kubearmor, with its node, and gives it an address. */
export async function applyDaemonPod(
  cluster: Cluster,
  { name, ip, node, app = "kubearmor" }: DaemonPod,
): Promise<void> {
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "kubearmor", name, labels: { "kubearmor-app": app } },
    spec: {
      ...(node === undefined ? { schedulerName: "none" } : { nodeName: node }),
      hostNetwork: true,
      automountServiceAccountToken: false,
      tolerations: [{ operator: "Exists" }],
      containers: [{ name: "kubearmor", image: "kubearmor" }],
    },
  };
  const objects = [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "kubearmor" } },
    ...(node === undefined ? [] : [{ apiVersion: "v1", kind: "Node", metadata: { name: node } }]),
    pod,
  ];
  await cluster.apply(objects.map((object) => JSON.stringify(object)).join("\n---\n"));
  const status = JSON.stringify({ status: { phase: "Running", podIP: ip, podIPs: [{ ip }] } });
  const patch = ["patch", "pod", name, "-n", "kubearmor", "--subresource", "status", "--type", "merge"];
  await cluster.kubectl([...patch, "-p", status]);
}
