// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns one gRPC connection to feeder.LogService (KubeArmor or its relay) and the one alert stream on it.
// Invariant: the stream is never paused (KubeArmor drops what is not taken at once), and ends exactly once.

import type { Socket } from "node:net";
import type { Clock } from "../lib/clock.ts";
import { GrpcConnection } from "./grpc-connection.ts";
import { type GrpcStatus, OK, statusText, UNIMPLEMENTED } from "./grpc-status.ts";
import { watchHealth } from "./health-check.ts";
import type { AlertStream, StreamEnd } from "./reconnecting-source.ts";

export interface AlertStreamOptions {
  /** `host:port`. */
  address: string;
  /** Secures the connection before anything is sent on it; default: plaintext. */
  secure?: (socket: Socket) => Promise<Socket>;
  /** A larger message ends the stream; default 4 MiB, as in KubeArmor. */
  maxMessageBytes?: number;
  /** Between HealthChecks; default 30 s. */
  healthIntervalMs?: number;
  /** For the answer to a HealthCheck, the first of which also covers connecting; default 10 s. */
  healthTimeoutMs?: number;
}

const WATCH_ALERTS = "/feeder.LogService/WatchAlerts";
const HEALTH_CHECK = "/feeder.LogService/HealthCheck";
/** RequestMessage{Filter: "policy"}: with any other filter KubeArmor sends no alerts, or ends the stream with OK. */
const POLICY_FILTER = Buffer.from("\x0a\x06policy", "latin1");
/** NonceMessage{nonce: 1}. */
const NONCE = Buffer.from([0x08, 1]);

/** Returns a function that opens a connection and a stream on it, and closes both at its end or at the abort. */
export function alertStream(options: AlertStreamOptions, clock: Clock): AlertStream {
  const { address, secure, maxMessageBytes = 4 * 1024 * 1024 } = options;
  return (listener, signal) =>
    new Promise((resolve) => {
      // No keepalive of ours: KubeArmor's servers close connections that ping more often than every 5 min.
      const connection = new GrpcConnection({ address, secure, maxMessageBytes });
      let lastReadMs = Number.NEGATIVE_INFINITY;
      const end = (how: StreamEnd) => {
        stopHealthWatch();
        signal.removeEventListener("abort", stop);
        connection.cut();
        resolve(how);
      };
      const stop = () => end({ kind: "ok_end", message: "stopped" });

      connection.call(WATCH_ALERTS, POLICY_FILTER, {
        onPiece() {
          lastReadMs = clock.nowMs();
        },
        onMessage: (bytes) => listener.onMessage(bytes, lastReadMs),
        onEnd: (status) => end(streamEnd(status)),
      });
      const stopHealthWatch = watchHealth({
        check: (answered) =>
          connection.call(HEALTH_CHECK, NONCE, {
            onEnd: (status) =>
              answered(status.code === OK ? null : { code: status.code, message: statusText(status) }),
          }),
        clock,
        intervalMs: options.healthIntervalMs ?? 30_000,
        timeoutMs: options.healthTimeoutMs ?? 10_000,
        lastReadMs: () => lastReadMs,
        onHealthy: () => listener.onAlive(clock.nowMs()),
        onFailed: (message) => end({ kind: "watchdog", message }),
      });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    });
}

function streamEnd(status: GrpcStatus): StreamEnd {
  if (status.code === OK) return { kind: "ok_end", message: "the peer ended the stream with status OK" };
  const message = statusText(status);
  if (status.isTooLarge) return { kind: "message_too_large", message };
  if (status.code === UNIMPLEMENTED) {
    return { kind: "error", message: `${message} (is this the address of KubeArmor or its relay?)` };
  }
  return { kind: "error", message };
}
