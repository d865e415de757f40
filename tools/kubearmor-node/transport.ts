// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The listening port, its sockets and the gRPC server behind them.
// Invariant: owns every socket, so that closing cuts them without a GOAWAY, as a killed process does.

import { once } from "node:events";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import { Server, ServerCredentials, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { serverService } from "./wire.ts";

/** PEM texts; with `ca` only clients with a certificate of that authority are let in. */
export interface TlsFiles {
  cert: string | Buffer;
  key: string | Buffer;
  ca?: string | Buffer;
}

/** An open port. */
export interface Transport {
  port: number;
  /** Closes the port and every socket without a word. */
  close(): Promise<void>;
  /** Closes the port, lets open streams end for at most `graceMs`, then closes what is left. */
  drain(graceMs: number): Promise<void>;
}

function createCredentials(tls: TlsFiles | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  return ServerCredentials.createSsl(tls.ca ? Buffer.from(tls.ca) : null, [pair], tls.ca !== undefined);
}

function listen(server: NetServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}

/** Serves `handlers` on host:port (0: a free port); rejects when the port can't be had. */
export async function openTransport(
  handlers: UntypedServiceImplementation,
  options: { host: string; port: number; keepalive: { timeMs: number; timeoutMs: number }; tls?: TlsFiles | undefined },
): Promise<Transport> {
  const grpc = new Server({
    "grpc.keepalive_time_ms": options.keepalive.timeMs,
    "grpc.keepalive_timeout_ms": options.keepalive.timeoutMs,
    "grpc.enable_channelz": 0,
  });
  grpc.addService(serverService, handlers);
  const injector = grpc.createConnectionInjector(createCredentials(options.tls));
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    injector.injectConnection(socket);
  });
  await listen(listener, options.host, options.port);
  const close = async () => {
    const closed = listener.listening && new Promise<void>((resolve) => listener.close(() => resolve()));
    for (const socket of sockets) socket.destroy();
    grpc.forceShutdown();
    await closed;
  };
  return {
    port: (listener.address() as AddressInfo).port,
    close,
    async drain(graceMs) {
      listener.close();
      // Its callback comes before the streams have ended (Node's http2 server closes the sessions first), so the
      // end of the sockets is the end.
      grpc.tryShutdown(() => undefined);
      const over = AbortSignal.timeout(graceMs);
      try {
        for (const socket of sockets) await once(socket, "close", { signal: over });
      } catch (error) {
        if (!over.aborted) throw error;
      }
      await close();
    },
  };
}
