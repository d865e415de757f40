// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Starts etcd, kube-apiserver and kube-controller-manager as processes on loopback ports, and says when each is ready.
// Invariant: nothing listens on an address that is not 127.0.0.1, and nothing is written outside the cluster's folder.

import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PartName } from "../parts/catalog.ts";
import { type Server, startServer, stopServer } from "./process.ts";

/** How much of a request the audit log keeps. */
export type AuditLevel = "Metadata" | "RequestResponse";

/** What the processes of one cluster need to know. */
export interface ControlPlane {
  readonly dir: string;
  readonly parts: Partial<Record<PartName, string>>;
  readonly etcdPort: number;
  readonly etcdPeerPort: number;
  readonly apiPort: number;
}

/** The bearer tokens of `tokens.csv`: they are worth nothing beyond the life of one cluster on loopback. */
export const ADMIN_TOKEN = "admin-token";
export const CONTROLLER_MANAGER_TOKEN = "controller-manager-token";

const READY_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

/** Chooses the ports and writes the files that the processes read. */
export async function prepareControlPlane(
  dir: string,
  parts: ControlPlane["parts"],
  auditLevel: AuditLevel,
): Promise<ControlPlane> {
  for (const folder of ["certs", "logs"]) mkdirSync(join(dir, folder), { recursive: true });
  const masters = "system:masters";
  writeFileSync(
    join(dir, "tokens.csv"),
    `${ADMIN_TOKEN},admin,admin,${masters}\n` +
      // Its own ClusterRole suffices only with a ServiceAccount per controller, which takes longer to start.
      `${CONTROLLER_MANAGER_TOKEN},system:kube-controller-manager,kcm,${masters}\n`,
  );
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
  const [etcdPort, etcdPeerPort, apiPort] = await freePorts(3);
  return { dir, parts, etcdPort: etcdPort!, etcdPeerPort: etcdPeerPort!, apiPort: apiPort! };
}

/** Starts etcd and waits until it is healthy. */
export async function startEtcd(plane: ControlPlane): Promise<Server> {
  const url = `http://127.0.0.1:${plane.etcdPort}`;
  const peerUrl = `http://127.0.0.1:${plane.etcdPeerPort}`;
  const server = await startServer({
    file: programOf(plane, "etcd"),
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
  return whenReady("etcd", server, () => answersOk(`${url}/health`));
}

/** Starts kube-apiserver; `isReady` tells whether it answers `/readyz`. Safe to call again after it was stopped. */
export async function startApiServer(plane: ControlPlane, isReady: () => Promise<boolean>): Promise<Server> {
  const { dir } = plane;
  const server = await startServer({
    file: programOf(plane, "kube-apiserver"),
    args: [
      `--etcd-servers=http://127.0.0.1:${plane.etcdPort}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${plane.apiPort}`,
      // With no certificate there, the server makes one for 127.0.0.1: no openssl is needed.
      `--cert-dir=${join(dir, "certs")}`,
      `--token-auth-file=${join(dir, "tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${join(dir, "sa.key")}`,
      `--service-account-signing-key-file=${join(dir, "sa.key")}`,
      "--service-cluster-ip-range=10.0.0.0/24",
      "--allow-privileged=true",
      // Else a pod is refused until the controller manager has made its namespace's default ServiceAccount.
      "--disable-admission-plugins=ServiceAccount",
      // A loopback address may not stand in the Endpoints of the `kubernetes` Service: don't publish it.
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--audit-policy-file=${join(dir, "audit-policy.yaml")}`,
      `--audit-log-path=${join(dir, "logs/audit.log")}`,
      // In megabytes: it is never rotated away under a test.
      "--audit-log-maxsize=4096",
    ],
    logPath: join(dir, "logs/kube-apiserver.log"),
  });
  return whenReady("kube-apiserver", server, isReady);
}

/** Starts kube-controller-manager; `isReady` tells whether its work can be seen. */
export async function startControllerManager(
  plane: ControlPlane,
  kubeconfigPath: string,
  isReady: () => Promise<boolean>,
): Promise<Server> {
  const server = await startServer({
    file: programOf(plane, "kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfigPath}`,
      "--leader-elect=false",
      "--secure-port=0",
      `--root-ca-file=${join(plane.dir, "certs/apiserver.crt")}`,
      // No kubelet runs here: these three would soon delete every pod of a node that no one reports on.
      "--controllers=*,-node-lifecycle-controller,-taint-eviction-controller,-pod-garbage-collector-controller",
      "--kube-api-qps=200",
      "--kube-api-burst=400",
    ],
    logPath: join(plane.dir, "logs/kube-controller-manager.log"),
  });
  return whenReady("kube-controller-manager", server, isReady);
}

/**
 * Gives the server back once `isReady` holds. Kills it, and rejects with the end of its log, when two minutes have
 * passed; rejects likewise when it ends by itself.
 */
async function whenReady(what: string, server: Server, isReady: () => Promise<boolean>): Promise<Server> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  while (!(await isReady())) {
    const why = server.hasExited()
      ? "has ended"
      : Date.now() > deadlineMs
        ? "is not ready in time"
        : undefined;
    if (why !== undefined) {
      await stopServer(server, 0);
      throw new Error(`${what} ${why}; its log ends:\n${server.lastLines()}`);
    }
    await sleep(POLL_MS);
  }
  return server;
}

function programOf(plane: ControlPlane, name: PartName): string {
  const path = plane.parts[name];
  if (path === undefined) throw new Error(`there is no ${name}: run \`npm run parts\``);
  return path;
}

/**
 * Free ports below those that the system gives to outgoing connections. A client that dials the port of a stopped
 * server over and over would else be given that very port one day, connect to itself and keep the server out.
 */
async function freePorts(count: number): Promise<number[]> {
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

function answersOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on("error", () => resolve(false));
  });
}
