// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's policy kinds for a real API server: names, versions and scopes as KubeArmor installs them; any spec.

import type { Cluster } from "../../tools/cluster/cluster.ts";

const GROUP = "security.kubearmor.com";

const KINDS = {
  KubeArmorPolicy: ["kubearmorpolicies", "ksp", "Namespaced"],
  KubeArmorClusterPolicy: ["kubearmorclusterpolicies", "csp", "Cluster"],
  KubeArmorHostPolicy: ["kubearmorhostpolicies", "hsp", "Cluster"],
  KubeArmorNetworkPolicy: ["kubearmornetworkpolicies", "nsp", "Cluster"],
} as const;

export type PolicyKindName = keyof typeof KINDS;

/** Applies the CustomResourceDefinitions of these kinds, and waits until they are served; default: all. */
export async function installPolicyCrds(
  cluster: Cluster,
  kinds = Object.keys(KINDS) as PolicyKindName[],
): Promise<void> {
  await cluster.apply(kinds.map((kind) => JSON.stringify(createCrd(kind))).join("\n---\n"));
  const names = kinds.map((kind) => `crd/${KINDS[kind][0]}.${GROUP}`);
  await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...names]);
}

/** A policy object with a spec of no meaning. */
export function policy(
  kind: PolicyKindName,
  name: string,
  metadata: Record<string, unknown> = {},
  message = "first",
): string {
  return JSON.stringify({ apiVersion: `${GROUP}/v1`, kind, metadata: { name, ...metadata }, spec: { message } });
}

function createCrd(kind: PolicyKindName): unknown {
  const [plural, short, scope] = KINDS[kind];
  const names = { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames: [short] };
  const schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const version = {
    name: "v1",
    served: true,
    storage: true,
    schema: { openAPIV3Schema: schema },
    subresources: { status: {} },
  };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${GROUP}` },
    spec: { group: GROUP, scope, names, versions: [version] },
  };
}
