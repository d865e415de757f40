// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Watched sources of alerts, and peers of every kind. All end after each test.

import { createServer as createTcpServer, type Socket } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach } from "vitest";
import {
  type FollowNodes,
  type NodeObserver,
  NodeSource,
  type NodeSourceOptions,
  type NodeTarget,
} from "../../src/alerts/node-source.ts";
import type { ReconnectingSource } from "../../src/alerts/reconnecting-source.ts";
import { createRelaySource, type RelaySourceOptions } from "../../src/alerts/relay-source.ts";
import type { CertificateReading, CertificateStore } from "../../src/alerts/tls/mode.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { type Logger, silentLogger } from "../../src/lib/logger.ts";
import type { KubeArmorNode, KubeArmorNodeOptions } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import type { Pair } from "../support/mtls.ts";
import { RecordingListener } from "../unit/alerts/recording-listener.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Starts a KubeArmor node. */
export async function startNodeForTest(options: KubeArmorNodeOptions = {}): Promise<KubeArmorNode> {
  const started = await startNode(options);
  closers.push(() => started.stop());
  return started;
}

export interface Running {
  source: ReconnectingSource;
  listener: RecordingListener;
  /** Levels of the log lines. */
  logged: string[];
  stop: () => Promise<void>;
  /** Timers that are set. */
  timers: ReadonlySet<object>;
  /** Resolves once `holds`, which is checked at each call of the listener. */
  until: (holds: () => boolean) => Promise<void>;
}

/** Runs a source that retries quickly. */
export function run(options: RelaySourceOptions, listener = new RecordingListener()): Running {
  const logged: string[] = [];
  const log = (level: string) => () => void logged.push(level);
  const logger: Logger = { debug() {}, info: log("info"), warn: log("warn"), error: log("error") };
  const timers = new Set<object>();
  const clock: Clock = {
    ...systemClock,
    after(ms, fn) {
      const timer = {};
      timers.add(timer);
      const cancel = systemClock.after(ms, () => {
        timers.delete(timer);
        fn();
      });
      return () => {
        timers.delete(timer);
        cancel();
      };
    },
  };
  const source = createRelaySource({ backoffBaseMs: 5, backoffMaxMs: 40, ...options }, clock, logger);
  const stop = new AbortController();
  const running = source.run(listener, stop.signal);
  const stopAndWait = async () => {
    stop.abort();
    await running;
  };
  closers.push(stopAndWait);
  const until = (holds: () => boolean): Promise<void> => {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      listener.onReceived = () => holds() && resolve();
    });
  };
  return { source, listener, logged, stop: stopAndWait, timers, until };
}

export interface RunningNodes {
  source: NodeSource;
  listener: RecordingListener;
  /** The test reports the pods. */
  pods: NodeObserver;
}

/** Starts a source of nodes that retries quickly; the grace periods of missing nodes are `haste` times shorter. */
export function runNodes(options: Omit<NodeSourceOptions, "followNodes"> = {}, haste = 1): RunningNodes {
  const listener = new RecordingListener();
  const stop = new AbortController();
  let observer: NodeObserver | undefined;
  const followNodes: FollowNodes = (given, signal) => {
    observer = given;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  };
  const clock: Clock = { ...systemClock, after: (ms, fn) => systemClock.after(ms > 10_000 ? ms / haste : ms, fn) };
  const source = new NodeSource({ followNodes, backoffBaseMs: 5, backoffMaxMs: 40, ...options }, clock, silentLogger);
  const running = source.run(listener, stop.signal);
  closers.push(async () => {
    stop.abort();
    await running;
  });
  return { source, listener, pods: observer as unknown as NodeObserver };
}

export function createTarget(uid: string, node: string, ...addresses: string[]): NodeTarget {
  return { uid, node, addresses };
}

/** A store of certificates that a test changes. */
export class ChangingSecret implements CertificateStore {
  readonly name = "Secret kubearmor/kubearmor-client-certs";
  reading: CertificateReading = { kind: "absent", message: "it does not exist" };

  put(ca: string, { cert, key }: Pair): void {
    const text = (name: string, pem: string) => ({ name: `${name} of ${this.name}`, bytes: Buffer.from(pem) });
    this.reading = {
      kind: "found",
      ca: text("ca.crt", ca),
      certificate: text("tls.crt", cert),
      privateKey: text("tls.key", key),
    };
  }

  read(): Promise<CertificateReading> {
    return Promise.resolve(this.reading);
  }
}

/** Starts a gRPC server with the services that `register` adds; returns its address. */
export async function startGrpcServer(register: (server: Server) => void): Promise<string> {
  const server = new Server();
  register(server);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  closers.push(async () => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

/** Starts a server that hands each connection to `onSocket`; `sockets` are the open ones. */
export async function startTcpServer(
  onSocket: (socket: Socket) => void,
): Promise<{ address: string; sockets: ReadonlySet<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return { address: `127.0.0.1:${address.port}`, sockets };
}
