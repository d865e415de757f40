// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real Kubernetes control plane for a test: etcd, kube-apiserver and kube-controller-manager as processes of this one.
// Invariant: no pod ever runs on it (there is no scheduler and no node), and `stop` leaves nothing behind. A pod with a
// `nodeName` is deleted at once only with `terminationGracePeriodSeconds: 0`; else it waits for a kubelet forever.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CLUSTER_PARTS } from "../parts/catalog.ts";
import { getPaths, locateParts } from "../parts/parts.ts";
import { type ApiAccess, createApiAccess, writeKubeconfig } from "./cluster-access.ts";
import { type AuditEntry, readAuditLog } from "./cluster-audit.ts";
import { type ClusterCommands, createClusterCommands } from "./cluster-commands.ts";
import { startApiServer, startControllerManager, startEtcd, startScheduler } from "./cluster-control-plane.ts";
import {
  ADMIN_TOKEN,
  type AuditLevel,
  CONTROLLER_MANAGER_TOKEN,
  type ControlPlane,
  type NodeLink,
  prepareControlPlane,
  SCHEDULER_TOKEN,
} from "./cluster-files.ts";
import { freezeServer, removeAtOurEnd, type Server, stopServer } from "./process.ts";

export interface ClusterOptions {
  /** Default: true. Without it a deleted namespace stays forever, and so do the children of a deleted owner. */
  readonly controllerManager?: boolean;
  /** Default: `Metadata`. */
  readonly auditLevel?: AuditLevel;
  /** Joins the control plane to a real node, and starts the scheduler; default: none. Only `startRealNode` uses this. */
  readonly node?: NodeLink;
}

export interface Cluster extends ClusterCommands {
  /** Holds all that belongs to the cluster, and is removed with it: tests may put files there. */
  readonly dir: string;
  /** The API server's address, as in `https://127.0.0.1:12345`; the same after a stop and start. */
  readonly url: string;
  /** A kubeconfig with all rights. */
  readonly kubeconfigPath: string;
  readonly auditLogPath: string;
  /** Sends one request with all rights, `body` as JSON. Rejects only when no answer comes. */
  readonly request: ApiAccess["request"];
  /** Writes a kubeconfig for a bearer token; gives its path. */
  readonly kubeconfigFor: (token: string) => string;
  /** All requests that were answered so far, in the order of the log. */
  readonly auditEntries: () => AuditEntry[];
  /** Kills the API server as a crash would; resolves when it is gone. */
  readonly stopApiServer: () => Promise<void>;
  /** Starts it again with the same address and data; resolves when it is ready. */
  readonly startApiServer: () => Promise<void>;
  /** Halts the API server: connections are still accepted, and nothing is answered. */
  readonly freezeApiServer: () => Promise<void>;
  readonly thawApiServer: () => void;
  /** The ids of the processes that run now. */
  readonly pids: () => number[];
  /** Ends every process and removes `dir`. */
  readonly stop: () => Promise<void>;
}

/** Number of other ports that are tried: another process may take one before the server has it. */
const START_TRIES = 3;

/** Reason for which there can be no cluster here; undefined when there can. Builds nothing; takes milliseconds. */
export function findClusterObstacle(): string | undefined {
  return getPaths(locateParts()).missing;
}

/** Starts a control plane; resolves in a few seconds, when it is ready. Rejects when a part is not there. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { controllerManager = true, auditLevel = "Metadata", node } = options;
  const names = CLUSTER_PARTS.filter((name) => controllerManager || name !== "kube-controller-manager");
  const { missing } = getPaths(locateParts(names));
  if (missing !== undefined) throw new Error(`no cluster without all its parts: ${missing}`);
  for (let tryNumber = 1; ; tryNumber += 1) {
    const dir = mkdtempSync(join(tmpdir(), "pvo-cluster-"));
    const keepDir = removeAtOurEnd(dir);
    const servers: Servers = new Map();
    const stop = async () => {
      // The other way round than they were started, and at once: nothing of them is needed any more.
      for (const server of [...servers.values()].reverse()) await stopServer(server, 0);
      rmSync(dir, { recursive: true, force: true });
      keepDir();
    };
    try {
      const plane = await prepareControlPlane(
        dir,
        getPaths(locateParts([...CLUSTER_PARTS, "kube-scheduler", "helm"])).paths,
        { auditLevel, ...(node === undefined ? {} : { node }) },
      );
      return await startServers(plane, controllerManager, servers, stop);
    } catch (error) {
      await stop();
      if (tryNumber === START_TRIES || !/address already in use/.test(String(error))) throw error;
    }
  }
}

type Servers = Map<"etcd" | "apiserver" | "controller-manager" | "scheduler", Server>;

async function startServers(
  plane: ControlPlane,
  controllerManager: boolean,
  servers: Servers,
  stop: () => Promise<void>,
): Promise<Cluster> {
  const { dir } = plane;
  const url = `https://127.0.0.1:${plane.apiPort}`;
  const caPath = join(dir, "certs/apiserver.crt");
  const api = createApiAccess(url, caPath, ADMIN_TOKEN);
  const answers = (path: string) =>
    api.request("GET", path).then(
      ({ status }) => status === 200,
      () => false,
    );
  const startApi = async () => {
    servers.set("apiserver", await startApiServer(plane, () => answers("/readyz")));
  };

  servers.set("etcd", await startEtcd(plane));
  await startApi();
  const kubeconfig = (name: string, token: string) =>
    writeKubeconfig(join(dir, name), url, readFileSync(caPath), token);
  const kubeconfigPath = kubeconfig("kubeconfig", ADMIN_TOKEN);
  if (controllerManager) {
    const own = kubeconfig("kubeconfig-controller-manager", CONTROLLER_MANAGER_TOKEN);
    const isAtWork = () => answers("/api/v1/namespaces/default/serviceaccounts/default");
    servers.set("controller-manager", await startControllerManager(plane, own, isAtWork));
  }
  if (plane.node !== undefined) {
    servers.set("scheduler", await startScheduler(plane, kubeconfig("kubeconfig-scheduler", SCHEDULER_TOKEN)));
  }

  const auditLogPath = join(dir, "logs/audit.log");
  const apiServer = () => {
    const server = servers.get("apiserver");
    if (server === undefined || server.hasExited()) throw new Error("the API server is not running");
    return server;
  };
  let kubeconfigs = 0;
  return {
    ...createClusterCommands(dir, plane.parts, kubeconfigPath, api.request),
    dir,
    url,
    kubeconfigPath,
    auditLogPath,
    request: api.request,
    kubeconfigFor: (token) => {
      kubeconfigs += 1;
      return kubeconfig(`kubeconfig-${kubeconfigs}`, token);
    },
    auditEntries: () => readAuditLog(auditLogPath),
    stopApiServer: async () => {
      await stopServer(apiServer(), 0);
      api.dropConnections();
    },
    startApiServer: startApi,
    freezeApiServer: () => freezeServer(apiServer()),
    thawApiServer: () => apiServer().signal("SIGCONT"),
    pids: () => [...servers.values()].filter((server) => !server.hasExited()).map(({ pid }) => pid),
    stop: async () => {
      api.dropConnections();
      await stop();
    },
  };
}
