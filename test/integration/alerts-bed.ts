// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A watched relay source and peers of every kind, for the tests of the source. All end after each test.

import { createServer as createTcpServer, type Socket } from "node:net";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { afterEach } from "vitest";
import type { ReconnectingSource } from "../../src/alerts/reconnecting-source.ts";
import { createRelaySource, type RelaySourceOptions } from "../../src/alerts/relay-source.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { Logger } from "../../src/lib/logger.ts";
import type { KubeArmorNode, KubeArmorNodeOptions } from "../../tools/kubearmor-node/node.ts";
import { startNode } from "../../tools/kubearmor-node/server.ts";
import { RecordingListener } from "../unit/alerts/recording-listener.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Starts a KubeArmor node. */
export async function node(options: KubeArmorNodeOptions = {}): Promise<KubeArmorNode> {
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
      listener.onTold = () => holds() && resolve();
    });
  };
  return { source, listener, logged, stop: stopAndWait, timers, until };
}

/** Starts a gRPC server with the services that `register` adds; returns its address. */
export async function grpcServer(register: (server: Server) => void): Promise<string> {
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
export async function tcpServer(
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
