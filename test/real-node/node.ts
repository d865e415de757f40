// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real node on this machine: kubelet, containerd, kube-proxy and CoreDNS in namespaces of their own, joined to a test cluster.
// Pods that are scheduled on it really run.
// Invariant: the machine's own network, sysctls and containers are not touched, and `stop`, or the end of this process,
// leaves nothing behind.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server as NetServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, startCluster } from "../../tools/cluster/cluster.ts";
import { writeKubeconfig } from "../../tools/cluster/cluster-access.ts";
import { ADMIN_TOKEN, KUBE_PROXY_TOKEN, KUBELET_TOKEN } from "../../tools/cluster/cluster-files.ts";
import { run, runAtOurEnd, type Server, startServer, stopServer } from "../../tools/cluster/process.ts";
import { NODE_PARTS } from "../../tools/parts/catalog.ts";
import { getPaths, locateParts } from "../../tools/parts/parts.ts";
import { POD_CIDR, renderContainerdConfig, renderCorefile, renderKubeletConfig, renderPodNetwork } from "./config.ts";
import { writeIdleImages } from "./image.ts";
import { findCniDir, findNodeObstacle, NODE_PATH } from "./needs.ts";

/** A control plane with one node. */
export interface RealNode extends Cluster {
  readonly nodeName: string;
  /** Brings an image of a `docker save` archive onto the node, for pods with `imagePullPolicy: Never`. */
  readonly importImage: (archive: string) => Promise<void>;
}

const NODE_NAME = "real-node";
const NODE_ADDRESS = "10.77.0.1";
const READY_TIMEOUT_MS = 120_000;
/** Some hundred megabytes, on a machine that may be busy. */
const IMPORT_TIMEOUT_MS = 600_000;
const POLL_MS = 200;

/** State of kubelet, containerd and the CNI plugins: each is mounted from the node's own folder. */
const PLACES = [
  "/var/lib/kubelet",
  "/var/lib/containerd",
  "/var/lib/cni",
  "/var/log/pods",
  "/var/log/containers",
  "/etc/cni/net.d",
  "/opt/containerd",
  "/opt/cni",
];

/**
 * Starts a control plane and a node; resolves when the node is Ready. Rejects with all that is missing, and how to get
 * it, where this machine can't have one. A pod needs `IDLE_IMAGE` or an image that was imported: nothing is pulled.
 */
export async function startRealNode(): Promise<RealNode> {
  const why = findNodeObstacle();
  if (why !== undefined) throw new Error(`no real node here: ${why}`);
  const state = mkdtempSync(join(tmpdir(), "pvo-node-"));
  const leave = ["sh", join(import.meta.dirname, "leave.sh"), state];
  const dontLeave = runAtOurEnd(leave);
  const link = { name: NODE_NAME, address: NODE_ADDRESS, egressSocket: join(state, "egress.sock") };
  let cluster: Cluster | undefined;
  let apiSocket: NetServer | undefined;
  let node: Server | undefined;
  const stop = async () => {
    if (node !== undefined) await stopServer(node, 0);
    apiSocket?.close();
    await cluster?.stop();
    await run("sh", leave.slice(1));
    dontLeave();
  };
  try {
    cluster = await startCluster({ node: link });
    const apiPort = Number(new URL(cluster.url).port);
    writeFiles(state, cluster, apiPort);
    apiSocket = await startBridge(apiPort, join(state, "api.sock"));
    node = await startServer({
      file: "sh",
      args: [join(import.meta.dirname, "enter.sh")],
      env: buildEnvironment(state, apiPort),
      logPath: join(state, "logs/node.log"),
    });
    await waitUntilReady(cluster, node, state);
    return createRealNode(cluster, node.pid, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

function createRealNode(cluster: Cluster, unsharePid: number, stop: () => Promise<void>): RealNode {
  // Only the child of `unshare` is in all the namespaces.
  const initPid = readFileSync(`/proc/${unsharePid}/task/${unsharePid}/children`, "utf8").trim();
  return {
    ...cluster,
    nodeName: NODE_NAME,
    apply: (manifest) => applyWhenAccountsAreThere(cluster, manifest),
    importImage: async (archive) => {
      const args = ["-t", initPid, "-a", "ctr", "-n", "k8s.io", "images", "import", archive];
      const options = { env: { PATH: NODE_PATH }, timeoutMs: IMPORT_TIMEOUT_MS };
      const { code, stderr } = await run("nsenter", args, options);
      if (code !== 0) throw new Error(`${archive} could not be imported: ${stderr}`);
    },
    stop,
  };
}

/** A pod is refused until the controller manager has made its new namespace's default ServiceAccount. */
async function applyWhenAccountsAreThere(cluster: Cluster, manifest: string): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      await cluster.apply(manifest);
      return;
    } catch (error) {
      const isTooEarly = /serviceaccount "default" not found/.test(String(error));
      if (!isTooEarly || Date.now() > deadlineMs) throw error;
    }
    await sleep(POLL_MS);
  }
}

function writeFiles(state: string, cluster: Cluster, apiPort: number): void {
  for (const folder of ["logs", "images"]) mkdirSync(join(state, folder), { recursive: true });
  writeIdleImages(join(state, "images/idle.tar"));
  const ca = readFileSync(join(cluster.dir, "certs/apiserver.crt"));
  const url = `https://${NODE_ADDRESS}:${apiPort}`;
  writeKubeconfig(join(state, "kubelet.kubeconfig"), url, ca, KUBELET_TOKEN);
  writeKubeconfig(join(state, "kube-proxy.kubeconfig"), url, ca, KUBE_PROXY_TOKEN);
  writeKubeconfig(join(state, "coredns.kubeconfig"), url, ca, ADMIN_TOKEN);
  writeFileSync(join(state, "Corefile"), renderCorefile(NODE_ADDRESS, join(state, "coredns.kubeconfig")));
  writeFileSync(join(state, "kubelet.yaml"), renderKubeletConfig(state, NODE_ADDRESS));
  writeFileSync(join(state, "containerd.toml"), renderContainerdConfig(findCniDir() ?? ""));
  mkdirSync(join(state, "places/etc/cni/net.d"), { recursive: true });
  writeFileSync(join(state, "places/etc/cni/net.d/10-pods.conflist"), renderPodNetwork());
  writeFileSync(join(state, "resolv.conf"), `nameserver ${NODE_ADDRESS}\n`);
}

function buildEnvironment(state: string, apiPort: number): Record<string, string> {
  const { paths } = getPaths(locateParts(NODE_PARTS));
  return {
    PATH: NODE_PATH,
    STATE: state,
    HERE: import.meta.dirname,
    PLACES: PLACES.join(" "),
    NODE_NAME,
    NODE_ADDRESS,
    POD_CIDR,
    NODE_PROGRAM: process.execPath,
    KUBELET: paths.kubelet ?? "",
    KUBE_PROXY: paths["kube-proxy"] ?? "",
    COREDNS: paths.coredns ?? "",
    API_PORT: String(apiPort),
    API_SOCKET: join(state, "api.sock"),
    EGRESS_SOCKET: join(state, "egress.sock"),
  };
}

/** Makes the API server's port reachable by a unix socket, which goes through the walls of network namespaces. */
async function startBridge(port: number, path: string): Promise<NetServer> {
  const server = createServer((client) => {
    const target = connect(port, "127.0.0.1");
    client.pipe(target).pipe(client);
    client.on("error", () => target.destroy()).on("close", () => target.destroy());
    target.on("error", () => client.destroy()).on("close", () => client.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(path, resolve);
  });
  return server;
}

async function waitUntilReady(cluster: Cluster, node: Server, state: string): Promise<void> {
  const deadlineMs = Date.now() + READY_TIMEOUT_MS;
  const path = `/api/v1/nodes/${NODE_NAME}`;
  for (;;) {
    const { body } = await cluster.request("GET", path);
    const conditions: { type: string; status: string }[] = body.status?.conditions ?? [];
    if (conditions.some(({ type, status }) => type === "Ready" && status === "True")) return;
    const why = node.hasExited() ? "has ended" : Date.now() > deadlineMs ? "is not Ready in time" : undefined;
    if (why !== undefined) throw new Error(`the node ${why}\n${readLastLines(state)}`);
    await sleep(POLL_MS);
  }
}

function readLastLines(state: string): string {
  return ["node", "containerd", "kubelet"]
    .map((name) => join(state, `logs/${name}.log`))
    .filter((path) => existsSync(path))
    .map((path) => `${basename(path)} ends:\n${readFileSync(path, "utf8").trimEnd().split("\n").slice(-8).join("\n")}`)
    .join("\n");
}
