// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns one gRPC connection to feeder.LogService (KubeArmor or its relay) and the one alert stream on it.
// Invariant: the stream is never paused (KubeArmor drops what is not taken at once), and ends exactly once.

import type { ChannelCredentials, StatusObject } from "@grpc/grpc-js";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import { CuttableCredentials } from "./cuttable-credentials.ts";
import { watchHealth } from "./health-watch.ts";
import type { AlertStream, StreamEnd, StreamListener } from "./reconnect.ts";

export interface AlertStreamOptions {
  /** `host:port`. */
  address: string;
  /** Default plaintext. */
  credentials?: ChannelCredentials;
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

const CHANNEL_OPTIONS = {
  "grpc.primary_user_agent": "policy-violation-operator",
  // Both the stream's and the connection's: 64 KiB, the default, costs 40 % of the throughput.
  "grpc-node.flow_control_window": 256 * 1024,
  // Every connection is its own, so that only our back-off decides when to dial and names are resolved anew.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // KubeArmor is in the cluster: a proxy for the way out of it must not be asked.
  "grpc.enable_http_proxy": 0,
  // No client keepalive: KubeArmor's servers close connections that ping more often than every 5 min.
};

const identity = (bytes: Buffer): Buffer => bytes;

/** Returns a function that opens a connection and a stream on it, and closes both at its end or at the abort. */
export function alertStream(options: AlertStreamOptions, clock: Clock): AlertStream {
  const maxMessageBytes = options.maxMessageBytes ?? 4 * 1024 * 1024;
  return async (listener, signal) => {
    const cuttable = new CuttableCredentials(options.credentials ?? credentials.createInsecure());
    const client = new Client(options.address, cuttable, {
      ...CHANNEL_OPTIONS,
      "grpc.max_receive_message_length": maxMessageBytes,
    });
    const end = await watchAlerts(client, options, clock, listener, signal);
    client.close();
    // A peer that does not answer takes no part in closing, either.
    if (end.kind === "watchdog") cuttable.cut();
    return end;
  };
}

function watchAlerts(
  client: Client,
  options: AlertStreamOptions,
  clock: Clock,
  listener: StreamListener,
  signal: AbortSignal,
): Promise<StreamEnd> {
  return new Promise((resolve) => {
    let lastReadMs = Number.NEGATIVE_INFINITY;
    let watchdogMessage: string | undefined;
    let finalStatus: StatusObject | undefined;

    const call = client.makeServerStreamRequest(
      WATCH_ALERTS,
      identity,
      identity,
      POLICY_FILTER,
      new Metadata(),
    );
    const stopHealthWatch = watchHealth({
      check: (answered) =>
        client.makeUnaryRequest(HEALTH_CHECK, identity, identity, NONCE, new Metadata(), answered),
      clock,
      intervalMs: options.healthIntervalMs ?? 30_000,
      timeoutMs: options.healthTimeoutMs ?? 10_000,
      lastReadMs: () => lastReadMs,
      onHealthy: () => listener.onAlive(clock.nowMs()),
      onFailed(message) {
        watchdogMessage = message;
        call.cancel();
      },
    });
    const stop = () => call.cancel();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();

    call.on("data", (bytes: Buffer) => {
      lastReadMs = clock.nowMs();
      listener.onMessage(bytes, lastReadMs);
    });
    call.on("error", () => {
      // The status says the same, and comes for an end without an error, too.
    });
    call.on("status", (received) => {
      finalStatus = received;
    });
    // Comes after the status, when all messages have been taken.
    call.on("end", () => {
      stopHealthWatch();
      signal.removeEventListener("abort", stop);
      resolve(streamEnd(finalStatus, watchdogMessage));
    });
  });
}

function streamEnd(finalStatus: StatusObject | undefined, watchdogMessage: string | undefined): StreamEnd {
  if (watchdogMessage !== undefined) return { kind: "watchdog", message: watchdogMessage };
  if (finalStatus === undefined || finalStatus.code === status.OK) {
    return { kind: "ok_end", message: "the peer ended the stream with status OK" };
  }
  const message = `${finalStatus.code} ${status[finalStatus.code]}: ${finalStatus.details}`;
  // The same code also stands for "too many pings"; only the text tells the library's own refusal.
  if (finalStatus.code === status.RESOURCE_EXHAUSTED && / larger than /.test(finalStatus.details)) {
    return { kind: "message_too_large", message };
  }
  if (finalStatus.code === status.UNIMPLEMENTED) {
    return { kind: "error", message: `${message} (is this the address of KubeArmor or its relay?)` };
  }
  return { kind: "error", message };
}
