// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `npm run dev`: the real thing on one machine: a control plane, the pods of the samples, a KubeArmor node that streams
// their alerts, and the operator. Ctrl-C ends all of it and leaves nothing behind.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { getErrorMessage } from "../src/lib/error-message.ts";
import { IDLE_IMAGE } from "../test/real-node/image.ts";
import { findNodeObstacle } from "../test/real-node/needs.ts";
import { startRealNode } from "../test/real-node/node.ts";
import { type Cluster, startCluster } from "./cluster/cluster.ts";
import { applyDaemonPod, DAEMON_PORT } from "./cluster/kubearmor-pods.ts";
import { NatsServer } from "./nats-server.ts";
import { CLUSTER_PARTS, NODE_PARTS, SCALE_PARTS } from "./parts/catalog.ts";
import { ensureParts, getPaths } from "./parts/parts.ts";
import { listObjects, renderManifest } from "./sample-objects.ts";
import { readSampleAlerts } from "./samples.ts";

const ROOT = join(import.meta.dirname, "..");
const USAGE = `usage: npm run dev -- [--mode MODE | --scale] [--node] [--rate N] [--metrics HOST:PORT] [--log-level LEVEL]
  --mode MODE          relay: the operator reads one KubeArmor server (default); nodes: it finds two KubeArmor pods at
                       127.0.0.2 and 127.0.0.3, port 32767, and reads both
  --scale              two readers and two owners over a NATS server, with the two KubeArmor pods of --mode nodes
  --node               on a real node: the pods really run (needs root, containerd, runc and CNI plugins)
  --rate N             alerts per second (default 5)
  --metrics HOST:PORT  where the operator serves /metrics (default 127.0.0.1:8080)
  --log-level LEVEL    the operator's log (default info)
`;

function parseOptions() {
  const { values } = parseArgs({
    options: {
      mode: { type: "string", default: "relay" },
      scale: { type: "boolean", default: false },
      node: { type: "boolean", default: false },
      rate: { type: "string", default: "5" },
      metrics: { type: "string", default: "127.0.0.1:8080" },
      "log-level": { type: "string", default: "info" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.mode !== "relay" && values.mode !== "nodes") {
    throw new Error(`invalid value "${values.mode}" for --mode: expected relay or nodes`);
  }
  return values;
}

const print = (text: string) => process.stdout.write(`${text}\n`);

function startProgram(script: string, args: readonly string[], stdio: "pipe" | "inherit", env = {}): ChildProcess {
  return spawn(process.execPath, [join(ROOT, script), ...args], {
    stdio: ["pipe", stdio, "inherit"],
    env: { ...process.env, ...env },
    // A group of its own: Ctrl-C is for this program, which then stops the others in order.
    detached: true,
  });
}

async function startKubeArmorNode(
  rate: string,
  listen = "127.0.0.1:0",
): Promise<{ child: ChildProcess; address: string }> {
  const child = startProgram(
    "tools/kubearmor-node/main.ts",
    ["--listen", listen, "--rate", rate, "--wait-for-client", "--die-with-parent"],
    "pipe",
  );
  if (!child.stdout) throw new Error("no standard output");
  const ended = once(child, "exit").then(() => {
    throw new Error(`no KubeArmor node at ${listen}: another npm run dev may have its port`);
  });
  const [line] = (await Promise.race([once(createInterface(child.stdout), "line"), ended])) as [string];
  // Its end is not an error from now on.
  ended.catch(() => {});
  return { child, address: (JSON.parse(line) as { listening: string }).listening };
}

/** Starts a KubeArmor server at each address, with a pod object that names it. */
async function startKubeArmorPods(cluster: Cluster, rate: string): Promise<ChildProcess[]> {
  const children: ChildProcess[] = [];
  for (const [i, ip] of ["127.0.0.2", "127.0.0.3"].entries()) {
    await applyDaemonPod(cluster, { name: `kubearmor-${i + 1}`, node: `dev-node-${i + 1}`, ip });
    children.push((await startKubeArmorNode(rate, `${ip}:${DAEMON_PORT}`)).child);
  }
  return children;
}

function renderHints(cluster: Cluster, folder: string, metrics: string): string {
  return `
Ready. In another shell:

  export KUBECONFIG=${cluster.kubeconfigPath}
  export PATH=${folder}:$PATH

  kubectl get policyviolationreports -A
  kubectl get pvr -A -o wide
  kubectl get cpvr
  kubectl get pvr -n default block-pkg-mgmt-tools-exec -o yaml
  kubectl get pvr -A --field-selector summary.severity=critical
  kubectl explain pvr.violations
  kubectl describe pod -n wordpress-mysql wordpress-787f45786f-2q9wf
  kubectl events -n wordpress-mysql --for pod/wordpress-787f45786f-2q9wf
  curl ${metrics}/metrics

Ctrl-C ends everything and removes it.
`;
}

async function start(onNode: boolean): Promise<Cluster> {
  print("starting etcd, kube-apiserver and kube-controller-manager");
  if (!onNode) return await startCluster();
  const missing = findNodeObstacle();
  if (missing !== undefined) throw new Error(`no real node here: ${missing}`);
  print("starting containerd, kubelet, kube-scheduler and kube-proxy");
  return await startRealNode();
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}

async function main(): Promise<void> {
  const { mode, scale, rate, metrics, help, node: onNode, "log-level": logLevel } = parseOptions();
  if (help) {
    print(USAGE);
    return;
  }
  const stop = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
  const names = [...CLUSTER_PARTS, ...(onNode ? NODE_PARTS : []), ...(scale ? SCALE_PARTS : [])];
  const { paths, missing } = getPaths(await ensureParts({ names, onProgress: print }));
  if (missing !== undefined || !paths.kubectl) throw new Error(`parts are missing: ${missing}`);
  const cluster = await start(onNode);
  const children: ChildProcess[] = [];
  const stops: (() => Promise<void>)[] = [];
  try {
    await cluster.applyCrds();
    await cluster.apply(renderManifest(listObjects(readSampleAlerts()), onNode ? IDLE_IMAGE : undefined));
    await cluster.kubectl(["create", "namespace", "kubearmor"]);
    const feed: string[] = [];
    if (mode === "nodes" || scale) {
      children.push(...(await startKubeArmorPods(cluster, rate)));
      print(`two KubeArmor pods stream ${rate} alerts/s each`);
    } else {
      const kubeArmor = await startKubeArmorNode(rate);
      children.push(kubeArmor.child);
      feed.push("--relay-address", kubeArmor.address);
      print(`a KubeArmor node streams ${rate} alerts/s from ${kubeArmor.address}`);
    }
    const env = { KUBECONFIG: cluster.kubeconfigPath, PVO_FEED_MODE: mode };
    const startOperator = (command: "run" | "collect", address: string, more = {}) => {
      const flags = ["--metrics-address", address, "--health-address", "127.0.0.1:0", "--log-level", logLevel];
      const operator = startProgram("src/main.ts", [command, ...feed, ...flags], "inherit", { ...env, ...more });
      children.unshift(operator);
      operator.on("exit", (code) => code && process.kill(process.pid, "SIGTERM"));
    };
    if (scale) {
      const nats = await NatsServer.start();
      stops.push(() => nats.stop());
      print(`a NATS server listens at ${nats.url}`);
      const more = { PVO_SCALE_ENABLED: "true", PVO_SCALE_NATS_URL: nats.url, PVO_SCALE_NATS_REPLICAS: "1" };
      // Stopped in the reverse order: the readers before the owners.
      for (const [i, address] of [metrics, "127.0.0.1:0"].entries())
        startOperator("run", address, { ...more, PVO_IDENTITY: `owner-${i + 1}` });
      for (const identity of ["reader-1", "reader-2"])
        startOperator("collect", "127.0.0.1:0", { ...more, PVO_IDENTITY: identity });
    } else startOperator("run", metrics);
    print(renderHints(cluster, dirname(paths.kubectl), metrics));
    await stop;
    print("\nstopping");
  } finally {
    for (const child of children) await stopChild(child);
    for (const stop of stops) await stop();
    await cluster.stop();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${getErrorMessage(error)}\n`);
    process.exit(1);
  },
);
