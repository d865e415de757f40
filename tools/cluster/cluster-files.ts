// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes what the processes of a test cluster read, and chooses their ports.
// Invariant: no key or certificate comes from elsewhere, and openssl is not needed: the API server makes its own.

import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { PartName } from "../parts/catalog.ts";

/** Part of a request that the audit log keeps. */
export type AuditLevel = "Metadata" | "RequestResponse";

/** Link of a control plane to a real node that has a network of its own. */
export interface NodeLink {
  readonly name: string;
  /** The node's address, at which the node finds the API server too. */
  readonly address: string;
  /** A unix socket that takes HTTP CONNECT to addresses of the node's network. */
  readonly egressSocket: string;
}

/** Facts that the processes of one cluster share. */
export interface ControlPlane {
  readonly dir: string;
  readonly parts: Partial<Record<PartName, string>>;
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly apiPort: number;
  readonly node?: NodeLink;
}

export interface ControlPlaneOptions {
  readonly auditLevel: AuditLevel;
  readonly node?: NodeLink;
}

/** The bearer tokens of `tokens.csv`: they are worth nothing beyond the life of one cluster on loopback. */
export const ADMIN_TOKEN = "admin-token";
export const CONTROLLER_MANAGER_TOKEN = "controller-manager-token";
export const SCHEDULER_TOKEN = "scheduler-token";
export const KUBELET_TOKEN = "kubelet-token";
export const KUBE_PROXY_TOKEN = "kube-proxy-token";

/** Chooses the ports and writes the files that the processes read. */
export async function prepareControlPlane(
  dir: string,
  parts: ControlPlane["parts"],
  options: ControlPlaneOptions,
): Promise<ControlPlane> {
  const { auditLevel, node } = options;
  for (const folder of ["certs", "logs"]) mkdirSync(join(dir, folder), { recursive: true });
  writeFileSync(join(dir, "tokens.csv"), renderTokens(node));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(dir, "sa.key"), privateKey.export({ type: "sec1", format: "pem" }));
  writeFileSync(
    join(dir, "audit-policy.yaml"),
    JSON.stringify({
      apiVersion: "audit.k8s.io/v1",
      kind: "Policy",
      omitStages: ["RequestReceived"],
      rules: [{ level: auditLevel }],
    }),
  );
  if (node !== undefined) writeFileSync(join(dir, "egress.yaml"), renderEgressSelection(node));
  const [etcdPort, etcdPeerPort, apiPort] = await findFreePorts(3);
  const plane = { dir, parts, etcdPort: etcdPort!, etcdPeerPort: etcdPeerPort!, apiPort: apiPort! };
  return node === undefined ? plane : { ...plane, node };
}

function renderTokens(node: NodeLink | undefined): string {
  const users = [
    [ADMIN_TOKEN, "admin", "system:masters"],
    // Its own ClusterRole suffices only with a ServiceAccount per controller, which takes longer to start.
    [CONTROLLER_MANAGER_TOKEN, "system:kube-controller-manager", "system:masters"],
  ];
  if (node !== undefined) {
    users.push(
      [SCHEDULER_TOKEN, "system:kube-scheduler", ""],
      [KUBELET_TOKEN, `system:node:${node.name}`, "system:nodes"],
      [KUBE_PROXY_TOKEN, "system:kube-proxy", ""],
    );
  }
  return users.map(([token, user, group]) => `${token},${user},${user},${group}\n`).join("");
}

/** Makes the API server reach kubelets and Services through the node's socket, for there is no route to them. */
function renderEgressSelection(node: NodeLink): string {
  const transport = { uds: { udsName: node.egressSocket } };
  return JSON.stringify({
    apiVersion: "apiserver.k8s.io/v1beta1",
    kind: "EgressSelectorConfiguration",
    egressSelections: [{ name: "cluster", connection: { proxyProtocol: "HTTPConnect", transport } }],
  });
}

/**
 * Free ports below those that the system gives to outgoing connections. A client that dials the port of a stopped
 * server over and over would else be given that very port one day, connect to itself and keep the server out.
 */
async function findFreePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
