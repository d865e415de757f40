// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The namespaces, pods and nodes that alerts name, as objects for a real API server: Events need their uids.

import type { Alert } from "../src/api/alert.ts";

const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Names of the objects that `alerts` are about. */
export interface SampleObjects {
  namespaces: string[];
  pods: { namespace: string; name: string }[];
  nodes: string[];
}

/** Objects that a cluster must hold so that every one of these alerts finds its pod or node. */
export function listObjects(alerts: readonly Alert[]): SampleObjects {
  const namespaced = alerts.filter((alert) => NAMESPACE.test(alert.NamespaceName));
  const pods = new Map(
    namespaced
      .filter((alert) => alert.PodName !== "")
      .map(({ NamespaceName, PodName }) => [
        `${NamespaceName}/${PodName}`,
        { namespace: NamespaceName, name: PodName },
      ]),
  );
  return {
    namespaces: [...new Set(namespaced.map((alert) => alert.NamespaceName))],
    pods: [...pods.values()],
    nodes: [...new Set(alerts.map((alert) => alert.HostName).filter((name) => name !== ""))],
  };
}

/** A pod that is never scheduled: it needs no node and no image. */
const UNSCHEDULED = { schedulerName: "nobody", containers: [{ name: "app", image: "app" }] };

/** The objects as one manifest; with an image that is already on the node, the pods really run. */
export function renderManifest({ namespaces, pods, nodes }: SampleObjects, image?: string): string {
  const spec = image === undefined ? UNSCHEDULED : { containers: [{ name: "app", image, imagePullPolicy: "Never" }] };
  const objects = [
    ...namespaces
      .filter((name) => name !== "default")
      .map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })),
    ...nodes.map((name) => ({ apiVersion: "v1", kind: "Node", metadata: { name } })),
    ...pods.map(({ namespace, name }) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace, name },
      spec: { automountServiceAccountToken: false, terminationGracePeriodSeconds: 0, ...spec },
    })),
  ];
  return objects.map((object) => JSON.stringify(object)).join("\n---\n");
}
