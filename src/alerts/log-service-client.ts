// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A client of feeder.LogService, the gRPC service of KubeArmor and of its relay: WatchAlerts and HealthCheck on one
// connection of @grpc/grpc-js. Messages stay bytes.
// Invariant: each call ends exactly once; after `close` nothing is reported and no socket is open.

import {
  Client,
  type ClientReadableStream,
  connectivityState,
  credentials,
  type Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { ChannelSockets } from "./channel-sockets.ts";

export interface LogServiceOptions {
  /** `host:port`. */
  address: string;
  /** Sent in the TLS handshake; default: the host in `address`. */
  serverName?: string | undefined;
  /** Default: plaintext. */
  channel?: ChannelSockets | undefined;
  /** A larger message ends the stream of alerts. */
  maxMessageBytes: number;
}

export interface CallEnd {
  code: status;
  /** `14 UNAVAILABLE: connection dropped`. */
  message: string;
}

export interface AlertListeners {
  onMessage(bytes: Buffer): void;
  onEnd(end: CallEnd): void;
}

const WATCH_ALERTS = "/feeder.LogService/WatchAlerts";
const HEALTH_CHECK = "/feeder.LogService/HealthCheck";
/** RequestMessage{Filter: "policy"}: with any other filter KubeArmor sends no alerts, or ends the stream with OK. */
const POLICY_FILTER = Buffer.from("\x0a\x06policy", "latin1");
/** NonceMessage{nonce: 1}. */
const NONCE = Buffer.from([0x08, 1]);

/**
 * A stall of our process fills the window and then the peer's queue of 1,000 alerts. With 4 MiB a stall of 250 ms at
 * 10,000 alerts/s loses nothing, with 256 KiB 11 %.
 */
const WINDOW_BYTES = 4 * 1024 * 1024;
const HTTP_STATUS = /^Received HTTP status code/;
/** A connection that the peer closed looks like this, too. */
const NO_STATUS = /^Received RST_STREAM with code 0/;

const returnBytes = (bytes: Buffer): Buffer => bytes;

export class LogServiceClient {
  readonly #client: Client;
  readonly #channel: ChannelSockets;
  #isClosed = false;

  constructor({ address, serverName, channel, maxMessageBytes }: LogServiceOptions) {
    this.#channel = channel ?? new ChannelSockets(credentials.createInsecure());
    this.#client = new Client(`dns:${address}`, this.#channel, {
      "grpc.max_receive_message_length": maxMessageBytes,
      "grpc-node.flow_control_window": WINDOW_BYTES,
      "grpc.primary_user_agent": "policy-violation-operator",
      // Each attempt has its own connection, and the caller waits between attempts.
      "grpc.enable_retries": 0,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.service_config_disable_resolution": 1,
      // The probe of a TLS peer does not use proxies either.
      "grpc.enable_http_proxy": 0,
      "grpc.enable_channelz": 0,
      ...(serverName ? { "grpc.ssl_target_name_override": serverName } : {}),
      // No keepalive: KubeArmor's servers close connections that ping more often than every 5 min.
    });
  }

  /** Watches the alerts; messages are handed over as they are read, and never paused. */
  watchAlerts(listeners: AlertListeners): void {
    const call: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      WATCH_ALERTS,
      returnBytes,
      returnBytes,
      POLICY_FILTER,
    );
    let ended = false;
    const end = (how: CallEnd) => {
      if (ended || this.#isClosed) return;
      ended = true;
      listeners.onEnd(how);
    };
    call.on("metadata", (metadata) => {
      const foreign = checkContentType(metadata);
      if (foreign === undefined) return;
      end(foreign);
      call.cancel();
    });
    call.on("data", (bytes: Buffer) => {
      if (!ended && !this.#isClosed) listeners.onMessage(bytes);
    });
    // Comes after all messages: a stream that flows and never waits buffers none.
    call.on("status", (received) => end(callEnd(received)));
    // Its status says the same.
    call.on("error", () => undefined);
  }

  /** Asks once; the callback gets null for a good answer. Returns a function that cancels. */
  checkHealth(onAnswer: (failure: CallEnd | null) => void): () => void {
    let foreign: CallEnd | undefined;
    const call = this.#client.makeUnaryRequest(HEALTH_CHECK, returnBytes, returnBytes, NONCE, (error) => {
      if (this.#isClosed) return;
      onAnswer(foreign ?? toHealthFailure(error));
    });
    call.on("metadata", (metadata) => {
      foreign = checkContentType(metadata);
      if (foreign !== undefined) call.cancel();
    });
    return () => call.cancel();
  }

  /** Calls back once the connection was there and takes no more calls: it broke, or the peer sent a GOAWAY. */
  onConnectionLost(lost: () => void): void {
    const channel = this.#client.getChannel();
    let wasReady = false;
    const watch = () => {
      if (this.#isClosed) return;
      const state = channel.getConnectivityState(false);
      if (state === connectivityState.READY) wasReady = true;
      else if (wasReady) return lost();
      channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, watch);
    };
    watch();
  }

  /** Ends all calls and the connection at once, without waiting for the peer. */
  close(): void {
    this.#isClosed = true;
    this.#client.close();
    this.#channel.cut();
  }
}

/** Completes a status: where a message can't be decompressed, @grpc/grpc-js passes an Error on as a status. */
function callEnd({ code, details }: { code?: status; details?: string }): CallEnd {
  if (details !== undefined && NO_STATUS.test(details)) {
    return callEnd({ code: status.UNAVAILABLE, details: "the peer closed the stream without a status" });
  }
  const known = code === undefined || status[code] === undefined ? status.UNKNOWN : code;
  // The connector appends the time of a failure, and the resolver a note that is mostly empty.
  const text = (details ?? "a message can't be decompressed")
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "")
    .replace(/\.? Resolution note: *$/, "");
  return { code: known, message: `${known} ${status[known]}: ${text}` };
}

/** A web page with status 404 counts as UNIMPLEMENTED in gRPC; here only a gRPC service may say so. */
function toHealthFailure(error: ServiceError | null): CallEnd | null {
  if (error === null) return null;
  const code = HTTP_STATUS.test(error.details) ? status.UNKNOWN : error.code;
  return callEnd({ code, details: error.details });
}

/** Returns an error for an answer that is not gRPC; a web page with status 200 would pass for a stream otherwise. */
function checkContentType(metadata: Metadata): CallEnd | undefined {
  const type = String(metadata.get("content-type")[0] ?? "none");
  if (/^application\/grpc(?:$|[+;])/.test(type)) return undefined;
  return callEnd({ code: status.UNKNOWN, details: `the answer is not gRPC (content-type ${type})` });
}
