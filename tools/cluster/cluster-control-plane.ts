// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Starts etcd, kube-apiserver and kube-controller-manager as processes on loopback ports, and says when each is ready.
// Invariant: nothing listens on an address that is not 127.0.0.1, and nothing is written outside the cluster's folder.

import { get } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PartName } from "../parts/catalog.ts";
import type { ControlPlane, NodeLink } from "./cluster-files.ts";
import { type Server, startServer, stopServer } from "./process.ts";

const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** Starts etcd and waits until it is healthy. */
export async function startEtcd(plane: ControlPlane): Promise<Server> {
  const url = `http://127.0.0.1:${plane.etcdPort}`;
  const peerUrl = `http://127.0.0.1:${plane.etcdPeerPort}`;
  const server = await startServer({
    file: getProgram(plane, "etcd"),
    args: [
      `--data-dir=${join(plane.dir, "etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // The data need not outlive the machine, only a process.
      "--unsafe-no-fsync",
    ],
    logPath: join(plane.dir, "logs/etcd.log"),
  });
  return waitUntilReady("etcd", server, () => isHealthy(`${url}/health`));
}

const WITHOUT_NODE = [
  // Else a pod is refused until the controller manager has made its namespace's default ServiceAccount.
  "--disable-admission-plugins=ServiceAccount",
  // A loopback address may not stand in the Endpoints of the `kubernetes` Service: don't publish it.
  "--advertise-address=127.0.0.1",
  "--endpoint-reconciler-type=none",
];

const withNode = (node: NodeLink, dir: string) => [
  "--enable-admission-plugins=NodeRestriction",
  `--advertise-address=${node.address}`,
  `--egress-selector-config-file=${join(dir, "egress.yaml")}`,
  "--kubelet-preferred-address-types=InternalIP",
];

/** Starts kube-apiserver; `isReady` is true where it answers `/readyz`. Safe to call again after it was stopped. */
export async function startApiServer(plane: ControlPlane, isReady: () => Promise<boolean>): Promise<Server> {
  const { dir } = plane;
  const server = await startServer({
    file: getProgram(plane, "kube-apiserver"),
    args: [
      `--etcd-servers=http://127.0.0.1:${plane.etcdPort}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${plane.apiPort}`,
      // With no certificate there, the server makes one for 127.0.0.1: no openssl is needed.
      `--cert-dir=${join(dir, "certs")}`,
      `--token-auth-file=${join(dir, "tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${join(dir, "sa.key")}`,
      `--service-account-signing-key-file=${join(dir, "sa.key")}`,
      "--service-cluster-ip-range=10.0.0.0/24",
      "--allow-privileged=true",
      ...(plane.node === undefined ? WITHOUT_NODE : withNode(plane.node, dir)),
      `--audit-policy-file=${join(dir, "audit-policy.yaml")}`,
      `--audit-log-path=${join(dir, "logs/audit.log")}`,
      // In megabytes: it is never rotated away under a test.
      "--audit-log-maxsize=4096",
    ],
    logPath: join(dir, "logs/kube-apiserver.log"),
  });
  return waitUntilReady("kube-apiserver", server, isReady);
}

/** With no kubelet, those left out would soon delete every pod of a node that no one reports on. */
const CONTROLLERS_WITHOUT_NODE =
  "*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller";

/** Starts kube-controller-manager; `isReady` is true once its work can be seen. */
export async function startControllerManager(
  plane: ControlPlane,
  kubeconfigPath: string,
  isReady: () => Promise<boolean>,
): Promise<Server> {
  const server = await startServer({
    file: getProgram(plane, "kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfigPath}`,
      "--leader-elect=false",
      "--secure-port=0",
      `--root-ca-file=${join(plane.dir, "certs/apiserver.crt")}`,
      `--controllers=${plane.node === undefined ? CONTROLLERS_WITHOUT_NODE : "*"}`,
      "--kube-api-qps=200",
      "--kube-api-burst=400",
    ],
    logPath: join(plane.dir, "logs/kube-controller-manager.log"),
  });
  return waitUntilReady("kube-controller-manager", server, isReady);
}

/** Starts kube-scheduler, which is needed only where pods run. */
export function startScheduler(plane: ControlPlane, kubeconfigPath: string): Promise<Server> {
  return startServer({
    file: getProgram(plane, "kube-scheduler"),
    args: [`--kubeconfig=${kubeconfigPath}`, "--leader-elect=false", "--secure-port=0"],
    logPath: join(plane.dir, "logs/kube-scheduler.log"),
  });
}

/**
 * Gives the server back once `isReady` holds. Kills it, and rejects with the end of its log, when two minutes have
 * passed; rejects likewise when it ends by itself.
 */
async function waitUntilReady(what: string, server: Server, isReady: () => Promise<boolean>): Promise<Server> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  while (!(await isReady())) {
    const why = server.hasExited() ? "has ended" : Date.now() > deadlineMs ? "is not ready in time" : undefined;
    if (why !== undefined) {
      await stopServer(server, 0);
      throw new Error(`${what} ${why}; its log ends:\n${server.lastLines()}`);
    }
    await sleep(POLL_MS);
  }
  return server;
}

function getProgram(plane: ControlPlane, name: PartName): string {
  const path = plane.parts[name];
  if (path === undefined) throw new Error(`there is no ${name}: run \`npm run parts\``);
  return path;
}

function isHealthy(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
}
