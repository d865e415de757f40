// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One alert stream on one connection, with its watchdog.
// Invariant: the stream is never paused, because KubeArmor drops alerts while it waits for us; and it ends exactly once.
//
// Messages are gathered while the event loop reads, and handled together at the end of its turn, or when there are
// MAX_GATHERED: one turn may read 2 MiB from a socket (32 reads of 64 KiB). When a stream ends with an error,
// @grpc/grpc-js drops what it has received and not yet handed over: at most the rest of one HTTP/2 frame. The gap that
// the end declares covers it.

import { status } from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import type { ChannelSockets } from "./channel-sockets.ts";
import { watchHealth } from "./health-check.ts";
import { type CallEnd, LogServiceClient } from "./log-service-client.ts";
import type { AlertStream, StreamEnd } from "./reconnecting-source.ts";

export interface AlertStreamOptions {
  /** `host:port`. */
  address: string;
  /** Sent in the TLS handshake; default: the host in `address`. */
  serverName?: string;
  /** A larger message ends the stream; default 4 MiB, as in KubeArmor. */
  maxMessageBytes?: number;
  /** Between HealthChecks; default 30 s. */
  healthIntervalMs?: number;
  /** For the answer to a HealthCheck, the first of which also covers connecting; default 10 s. */
  healthTimeoutMs?: number;
}

export const DEFAULT_HEALTH_TIMEOUT_MS = 10_000;
export const DEFAULT_HEALTH_INTERVAL_MS = 30_000;
const DEFAULT_MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/**
 * Messages handled at once. What outlives two collections of V8's young generation, as much of what one turn can read
 * does, keeps the 64 KiB that it was read into until a major one: those were five times as many without this bound.
 */
const MAX_GATHERED = 512;
/** After a GOAWAY, for alerts in flight. */
const DRAIN_MS = 500;
const IS_KUBEARMOR = "is this the address of KubeArmor or its relay?";
const TOO_LARGE = /^8 RESOURCE_EXHAUSTED: Received message larger than max/;

/** Returns a function that opens a connection and a stream on it, and closes both at its end or at the abort. */
export function createAlertStream(options: AlertStreamOptions, clock: Clock, channel?: ChannelSockets): AlertStream {
  const { address, serverName, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES } = options;
  return (listener, signal) =>
    new Promise((resolve) => {
      const client = new LogServiceClient({ address, serverName, channel, maxMessageBytes });
      let gathered: Buffer[] = [];
      let lastReadMs = Number.NEGATIVE_INFINITY;
      let isOver = false;
      let cancelDrain = () => {};

      const end = (how: StreamEnd) => {
        if (isOver) return;
        handOver();
        if (isOver) return;
        isOver = true;
        stopHealthWatch();
        cancelDrain();
        signal.removeEventListener("abort", stop);
        client.close();
        resolve(how);
      };
      const stop = () => {
        gathered = [];
        end({ kind: "ok_end", message: "stopped" });
      };
      const handOver = () => {
        const messages = gathered;
        gathered = [];
        for (const bytes of messages) {
          if (isOver) return;
          listener.onMessage(bytes, lastReadMs);
        }
      };

      client.watchAlerts({
        onMessage(bytes) {
          const count = gathered.push(bytes);
          if (count === MAX_GATHERED) handOver();
          if (count > 1) return;
          lastReadMs = clock.nowMs();
          void clock.turn().then(handOver);
        },
        onEnd: (how) => end(streamEnd(how)),
      });
      const stopHealthWatch = watchHealth({
        check: (onAnswer) => client.checkHealth(onAnswer),
        clock,
        intervalMs: options.healthIntervalMs ?? DEFAULT_HEALTH_INTERVAL_MS,
        timeoutMs: options.healthTimeoutMs ?? DEFAULT_HEALTH_TIMEOUT_MS,
        lastReadMs: () => lastReadMs,
        onHealthy: () => listener.onAlive(clock.nowMs()),
        onFailed: (message) => end({ kind: "watchdog", message }),
      });
      client.onConnectionLost(() => {
        // A HealthCheck would be sent on another connection.
        stopHealthWatch();
        const message = `${status.UNAVAILABLE} UNAVAILABLE: the peer is closing the connection (GOAWAY)`;
        cancelDrain = clock.after(DRAIN_MS, () => end({ kind: "error", message }));
      });
      signal.addEventListener("abort", stop, { once: true });
      if (signal.aborted) stop();
    });
}

function streamEnd({ code, message }: CallEnd): StreamEnd {
  if (code === status.OK) return { kind: "ok_end", message: "the peer ended the stream with status OK" };
  if (TOO_LARGE.test(message)) return { kind: "message_too_large", message };
  const isOther = code === status.UNIMPLEMENTED || message.includes("is not gRPC");
  return { kind: "error", message: isOther ? `${message} (${IS_KUBEARMOR})` : message };
}
