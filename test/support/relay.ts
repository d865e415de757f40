// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A real KubeArmor relay between a KubeArmor node of the test and its clients. The relay dials its own port on
// every node, so the node's port is opened in a network namespace at the end of a veth pair.
// Invariant: however this process ends, no process, network namespace or interface of it is left.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, Server as NetServer, type Socket } from "node:net";
import { delimiter, join } from "node:path";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import { applyDaemonPod } from "../../tools/cluster/kubearmor-pods.ts";
import { run, runAtOurEnd, type Server, startServer, stopServer } from "../../tools/cluster/process.ts";
import type { KubeArmorNode } from "../../tools/kubearmor-node/node.ts";
import { KEEPALIVE } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import type { TlsFiles } from "../../tools/kubearmor-node/transport.ts";
import { eventually } from "./eventually.ts";
import { createDaemonSpec, createOperatorSpecs, issue } from "./mtls.ts";

/** A relay and the one node that it watches. */
export interface Relay {
  /** Address at which the relay serves its clients. */
  readonly address: string;
  /** The node behind it, which waits for a slow relay instead of dropping. */
  readonly node: KubeArmorNode;
  /** Starts it again after `end`; resolves when it watches the node. */
  readonly start: () => Promise<void>;
  /** Sends it the signal and resolves with its exit code (137 for SIGKILL), when the node has seen it go. */
  readonly end: (signal: "SIGTERM" | "SIGKILL") => Promise<number>;
  /** Number of alerts with this policy that it received so far, over all its starts, by its standard output. */
  readonly printed: (policyName: string) => number;
  /** Ends it and its node and removes the network between them. */
  readonly stop: () => Promise<void>;
}

/** The PATH of a shell may lack the place of `ip`. */
const PATH = [process.env["PATH"] ?? "", "/usr/sbin", "/sbin"].join(delimiter);

/** The relay's program, from the environment; undefined where none is named. Throws for a path that is not a program. */
export function findRelayProgram(): string | undefined {
  const path = process.env["KUBEARMOR_RELAY"];
  if (!path) return undefined;
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new Error(`KUBEARMOR_RELAY=${path}: no program`, { cause });
  }
  return path;
}

/** Reason for which no relay can run here; undefined when one can. */
export function findRelayObstacle(): string | undefined {
  if (findRelayProgram() === undefined) return "KUBEARMOR_RELAY names no relay-server";
  if (process.platform !== "linux") return "a network namespace needs Linux";
  if (process.getuid?.() !== 0) return "a network namespace needs root";
  const hasIp = PATH.split(delimiter).some((dir) => existsSync(join(dir, "ip")));
  return hasIp ? undefined : "a network namespace needs `ip` of iproute2";
}

/**
 * Starts a node and a relay that watches it; with `tls`, an empty folder, both with mutual TLS. Then the folder has
 * ca.crt, client.crt and client.key for clients of the relay. The node's Pod object stays in the cluster.
 */
export async function startRelay(cluster: Cluster, tls?: string): Promise<Relay> {
  const program = findRelayProgram();
  if (program === undefined) throw new Error(findRelayObstacle());
  const undo: Undo = [];
  const stop = () => undoAll(undo);
  try {
    const port = await findFreePort();
    const network = await openNetwork(undo);
    const node = await startNode({
      dropLikeKubeArmor: false,
      keepalive: KEEPALIVE.daemon,
      ...(tls === undefined ? {} : { tls: writeCertificates(tls, network.nodeIp) }),
    });
    undo.push(() => node.stop());
    await openDoor(network, port, node, undo);
    await applyDaemonPod(cluster, { name: "kubearmor-of-the-test", ip: network.nodeIp });

    const alertsPath = join(cluster.dir, `relay-${port}-alerts.jsonl`);
    let relay: Server | undefined;
    undo.push(async () => relay && stopServer(relay, 0));
    const start = async () => {
      const started = await startProgram(program, cluster, { port, alertsPath, tls });
      relay = started;
      await eventually("the relay watches the node", () => {
        if (started.hasExited()) throw new Error(`the relay ended: ${started.lastLines()}`);
        const { clients, otherStreams } = node.getStats();
        return clients === 1 && otherStreams === 2;
      });
    };
    const end = async (signal: NodeJS.Signals) => {
      if (relay === undefined) throw new Error("the relay was never started");
      relay.signal(signal);
      const code = await relay.exited;
      await eventually("the node sees the relay go", () => node.getStats().clients === 0);
      return code;
    };
    await start();
    const printed = (policyName: string) => countPrinted(alertsPath, policyName);
    return { address: `127.0.0.1:${port}`, node, start, end, printed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Steps at the end, the last one first. */
type Undo = (() => unknown)[];

async function undoAll(undo: Undo): Promise<void> {
  const errors: unknown[] = [];
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `not all could be undone: ${errors.join("; ")}`);
}

/** Its alerts go to a file of their own: its log holds JSON, too. */
function startProgram(
  program: string,
  cluster: Cluster,
  { port, alertsPath, tls }: { port: number; alertsPath: string; tls: string | undefined },
): Promise<Server> {
  const secured = tls === undefined ? [] : ["-tlsEnabled", "-tlsCertPath", tls, "-tlsCertProvider", "external"];
  const args = ["-kubeconfig", cluster.kubeconfigPath, "-gRPCPort", String(port), ...secured];
  return startServer({
    file: "sh",
    args: ["-c", 'exec "$0" "$@" >>"$ALERTS"', program, ...args],
    logPath: join(cluster.dir, "logs/relay.log"),
    // No proxy for the way out of the machine may come between it and the node.
    env: { ENABLE_STDOUT_ALERTS: "true", ALERTS: alertsPath, NO_PROXY: "*" },
  });
}

/** Writes the relay's files as KubeArmor's Secrets have them; returns those of the node, which demands a client's. */
function writeCertificates(dir: string, nodeIp: string): TlsFiles {
  const { ca, server, client, [nodeIp]: daemon } = issue([...createOperatorSpecs(), createDaemonSpec(nodeIp)]);
  if (!ca || !server || !client || !daemon) throw new Error("certificates are missing");
  writeFileSync(join(dir, "ca.crt"), ca.cert);
  for (const [name, { cert, key }] of Object.entries({ server, client })) {
    writeFileSync(join(dir, `${name}.crt`), cert);
    writeFileSync(join(dir, `${name}.key`), key, { mode: 0o600 });
  }
  // OpenSSL verifies a client's certificate with the subject of its authority only where it is pinned.
  return { ...daemon, ca: client.cert };
}

function countPrinted(alertsPath: string, policyName: string): number {
  const needle = `"PolicyName":${JSON.stringify(policyName)}`;
  return readFileSync(alertsPath, "utf8").split(needle).length - 1;
}

/**
 * A port that is free at every address, for the relay takes it at all of them. It is below the range that the kernel
 * gives to outgoing connections: one of those could take it while the relay is down.
 */
async function findFreePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

interface Network {
  readonly namespace: string;
  /** Reached from the machine, and listened on in the namespace. */
  readonly nodeIp: string;
}

/** Makes a namespace with one address. Names and addresses follow the process id, so that two runs do not meet. */
async function openNetwork(undo: Undo): Promise<Network> {
  const namespace = `pvo-relay-${process.pid}`;
  const [outside, inside] = [`pvor${process.pid}h`, `pvor${process.pid}n`];
  // 198.18.0.0/15 is set aside for tests between networks (RFC 2544): four addresses of it.
  const first = (process.pid % 0x4000) * 4;
  const ip = (n: number) => `198.18.${first >> 8}.${(first & 0xff) + n}`;
  undo.push(runAtOurEnd(["env", `PATH=${PATH}`, "ip", "netns", "delete", namespace]));
  await runIp(["netns", "add", namespace]);
  undo.push(() => runIp(["netns", "delete", namespace]));
  await runIp(["link", "add", outside, "type", "veth", "peer", "name", inside, "netns", namespace]);
  // It would go with the namespace, but some time later: too late for the next one of the same name.
  undo.push(() => runIp(["link", "delete", outside]));
  await runIp(["address", "add", `${ip(1)}/30`, "dev", outside]);
  await runIp(["link", "set", outside, "up"]);
  await runIp(["-n", namespace, "address", "add", `${ip(2)}/30`, "dev", inside]);
  await runIp(["-n", namespace, "link", "set", inside, "up"]);
  return { namespace, nodeIp: ip(2) };
}

async function runIp(args: readonly string[]): Promise<void> {
  const { code, stderr } = await run("ip", args, { env: { PATH } });
  if (code !== 0) throw new Error(`ip ${args.join(" ")} ended with ${code}: ${stderr.trim()}`);
}

/** Listens in the namespace and hands the listening socket to this process: a socket stays where it was opened. */
const LISTEN = `
const [host, port] = process.argv.slice(1);
const server = require("node:net").createServer();
server.listen({ host, port: Number(port) }, () => process.send("listening", server, () => process.exit()));
`;

/** Opens the node's address and port, and joins what comes in to the node of this process. */
async function openDoor({ namespace, nodeIp }: Network, port: number, node: KubeArmorNode, undo: Undo): Promise<void> {
  const listen = [process.execPath, "-e", LISTEN, nodeIp, String(port)];
  const child = spawn("ip", ["netns", "exec", namespace, ...listen], {
    env: { ...process.env, PATH },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const door = await waitForHandover(child);
  const sockets = new Set<Socket>();
  undo.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => door.close(resolve));
  });
  door.on("connection", (fromRelay) => {
    const toNode = connect({ port: node.port, host: "127.0.0.1", noDelay: true });
    fromRelay.setNoDelay(true);
    fromRelay.pipe(toNode).pipe(fromRelay);
    const end = () => {
      for (const socket of [fromRelay, toNode]) sockets.delete(socket.destroy());
    };
    for (const socket of [fromRelay, toNode]) sockets.add(socket.on("error", end).on("close", end));
  });
}

function waitForHandover(child: ChildProcess): Promise<NetServer> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`nothing listens in the namespace: exit code ${code}`)));
    child.once("message", (_, handle) => {
      if (handle instanceof NetServer) resolve(handle);
      else reject(new Error("the listening socket was not handed over"));
    });
  });
}
