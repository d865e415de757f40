// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A plain grpc-js client of feeder.LogService for the tests of the node server: it shows what arrives, untouched.

import { once } from "node:events";
import {
  type ClientReadableStream,
  credentials,
  makeGenericClientConstructor,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import type { WireAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import { clientService } from "../../../../tools/kubearmor-node/wire.ts";

/** One stream and what it has brought so far. */
export interface Watched {
  alerts: WireAlert[];
  /** True once response headers were received. */
  headersSeen: () => boolean;
  /** The status the stream ended with. */
  ended: Promise<StatusObject>;
  /** Resolves when `count` alerts are there. */
  received(count: number): Promise<void>;
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface LogServiceClient {
  healthCheck(nonce: number, deadlineMs?: number): Promise<number>;
  watch(method: "WatchAlerts" | "WatchLogs" | "WatchMessages", filter: string): Watched;
  close(): void;
}

interface Methods {
  HealthCheck(
    request: { nonce: number },
    options: { deadline: number },
    answer: (error: ServiceError | null, reply?: { Retval: number }) => void,
  ): void;
  WatchAlerts(request: { Filter: string }): ClientReadableStream<WireAlert>;
  WatchLogs(request: { Filter: string }): ClientReadableStream<WireAlert>;
  WatchMessages(request: { Filter: string }): ClientReadableStream<WireAlert>;
}

const Client = makeGenericClientConstructor(clientService, "LogService");

/** Dials host:port in plaintext; `waitForReady` calls are not used, so a call to a dead port fails. */
export function dial(address: string): LogServiceClient {
  const client = new Client(address, credentials.createInsecure(), {
    "grpc.initial_reconnect_backoff_ms": 20,
    "grpc.max_reconnect_backoff_ms": 50,
    "grpc.use_local_subchannel_pool": 1,
  });
  const methods = client as unknown as Methods;
  return {
    healthCheck: (nonce, deadlineMs = 5_000) =>
      new Promise((resolve, reject) => {
        methods.HealthCheck({ nonce }, { deadline: Date.now() + deadlineMs }, (error, reply) => {
          if (error) reject(error);
          else resolve(reply?.Retval ?? 0);
        });
      }),
    watch: (method, filter) => watchCall(methods[method]({ Filter: filter })),
    close: () => client.close(),
  };
}

function watchCall(call: ClientReadableStream<WireAlert>): Watched {
  const alerts: WireAlert[] = [];
  let headers = false;
  call.on("metadata", () => {
    headers = true;
  });
  call.on("data", (alert: WireAlert) => alerts.push(alert));
  // The status says the same; without a listener the error would end the process.
  call.on("error", () => undefined);
  const ended = new Promise<StatusObject>((resolve) => call.once("status", resolve));
  return {
    alerts,
    ended,
    headersSeen: () => headers,
    async received(count) {
      while (alerts.length < count) await once(call, "data");
    },
    pause: () => call.pause(),
    resume: () => call.resume(),
    cancel: () => call.cancel(),
  };
}
