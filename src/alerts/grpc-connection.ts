// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns one HTTP/2 connection and the gRPC calls on it, over node:http2: what a general client does for every message
// costs several times of what reading it does (bench/RESULTS.md).
// Invariant: every call ends exactly once, with a status; after `cut` no socket is left and nothing is told any more.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { framed, MessageCutter } from "./grpc-messages.ts";
import { type GrpcStatus, httpStatus, resetStatus, toldStatus, unavailable } from "./grpc-status.ts";

export interface GrpcConnectionOptions {
  /** `host:port`. */
  address: string;
  /** Secures a new connection before anything is sent on it; default: plaintext. */
  secure?: ((socket: Socket) => Promise<Socket>) | undefined;
  /** A larger message ends its call. */
  maxMessageBytes: number;
}

export interface CallListener {
  /** Some bytes came; the messages that they complete follow at once. */
  onPiece?(): void;
  /** One message; its bytes are valid until the call that hands it over returns. */
  onMessage?(message: Buffer): void;
  /** The call has ended; all its messages have been handed over. */
  onEnd(status: GrpcStatus): void;
}

export interface GrpcCall {
  /** Ends the call; nothing is told of it any more. */
  cancel(): void;
}

/** Both a call's and the connection's: with 64 KiB, the default, the peer waits for us. */
const WINDOW_BYTES = 256 * 1024;
/** For one of several addresses of a name, before the next is tried. */
const ADDRESS_TIMEOUT_MS = 2500;
const USER_AGENT = "policy-violation-operator";

/** What a call wants to know of its connection, and tells it. */
interface Connection {
  failed(problem: string): void;
  /** The status of a call that ended with the connection; undefined while there is one. */
  lostStatus(): GrpcStatus | undefined;
  isCut(): boolean;
}

/** A call that waits for the connection. */
interface Waiting {
  readonly begin: (session: ClientHttp2Session) => void;
  readonly fail: (status: GrpcStatus) => void;
}

export class GrpcConnection {
  readonly #options: GrpcConnectionOptions;
  readonly #socket: Socket;
  readonly #waiting = new Set<Waiting>();
  #session: ClientHttp2Session | undefined;
  /** Why there is no connection any more. */
  #problem: string | undefined;
  #isHttp2 = false;
  #isCut = false;

  /** Begins to connect. Throws for an address that is none. */
  constructor(options: GrpcConnectionOptions) {
    this.#options = options;
    const { address } = options;
    const colon = address.lastIndexOf(":");
    this.#socket = connectTcp({
      host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"),
      port: Number(address.slice(colon + 1)),
      noDelay: true,
      autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS,
    });
    this.#watch(this.#socket);
    this.#socket.once("connect", () => void this.#secure());
  }

  /** Makes a call with one message, as soon as there is a connection. */
  call(path: string, message: Uint8Array, listener: CallListener): GrpcCall {
    const call = new Call(this.#options.maxMessageBytes, listener, {
      failed: (problem) => this.#failed(problem),
      lostStatus: () => this.#lostStatus(),
      isCut: () => this.#isCut,
    });
    const waiting: Waiting = {
      begin: (session) => call.begin(session, path, this.#options.address, message),
      fail: (status) => call.end(status),
    };
    const lost = this.#lostStatus();
    if (lost !== undefined) queueMicrotask(() => waiting.fail(lost));
    else if (this.#session) waiting.begin(this.#session);
    else this.#waiting.add(waiting);
    return call;
  }

  /** Ends all calls and the connection at once, without waiting for the peer. */
  cut(): void {
    this.#isCut = true;
    this.#waiting.clear();
    this.#session?.destroy();
    this.#socket.destroy();
  }

  async #secure(): Promise<void> {
    try {
      const socket = (await this.#options.secure?.(this.#socket)) ?? this.#socket;
      if (!this.#isCut && this.#problem === undefined) this.#begin(socket);
    } catch (error) {
      this.#failed(messageOf(error));
      this.#socket.destroy();
    }
  }

  /** Before the session does: the calls end before the session says why. */
  #watch(socket: Socket): void {
    socket.on("error", (error) => this.#failed(connectProblem(error, this.#options.address)));
    socket.once("close", () => this.#failed("the peer closed the connection"));
  }

  #begin(socket: Socket): void {
    if (socket !== this.#socket) this.#watch(socket);
    const scheme = this.#options.secure ? "https" : "http";
    const session = connect(`${scheme}://${this.#options.address}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    });
    this.#session = session;
    session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
    session.once("remoteSettings", () => {
      this.#isHttp2 = true;
    });
    session.on("error", (error) => this.#failed(messageOf(error)));
    session.once("close", () => this.#failed("the peer closed the connection"));
    for (const { begin } of this.#waiting) begin(session);
    this.#waiting.clear();
  }

  #failed(problem: string): void {
    if (this.#isCut) return;
    this.#problem ??= problem;
    const status = this.#lostStatus() ?? unavailable(problem);
    for (const { fail } of this.#waiting) fail(status);
    this.#waiting.clear();
  }

  /** The status of a call that ended with the connection; undefined while there is one. */
  #lostStatus(): GrpcStatus | undefined {
    if (this.#problem === undefined) return undefined;
    return unavailable(this.#isHttp2 ? this.#problem : `${NO_CONNECTION}: ${this.#problem}`);
  }
}

/** What is said of a connection that never became one of HTTP/2. */
const NO_CONNECTION = "no connection";

class Call implements GrpcCall {
  readonly #listener: CallListener;
  readonly #cutter: MessageCutter;
  readonly #connection: Connection;
  #stream: ClientHttp2Stream | undefined;
  /** What the call ends with, whatever the peer says yet. */
  #refusal: GrpcStatus | undefined;
  #headers: IncomingHttpHeaders | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #isOver = false;

  constructor(maxMessageBytes: number, listener: CallListener, connection: Connection) {
    this.#listener = listener;
    this.#cutter = new MessageCutter(maxMessageBytes);
    this.#connection = connection;
  }

  begin(session: ClientHttp2Session, path: string, authority: string, message: Uint8Array): void {
    if (this.#isOver) return;
    let stream: ClientHttp2Stream;
    try {
      stream = session.request({
        ":method": "POST",
        ":path": path,
        ":authority": authority,
        "content-type": "application/grpc",
        "user-agent": USER_AGENT,
        te: "trailers",
      });
    } catch (error) {
      // The peer has said that it goes away.
      queueMicrotask(() => this.end(unavailable(messageOf(error))));
      return;
    }
    this.#stream = stream;
    stream.on("response", (headers) => this.#onResponse(headers));
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (piece: Buffer) => this.#onData(piece));
    stream.on("error", (error: Error & { code?: string }) => {
      // One of the stream alone is told by its code.
      if (error.code !== "ERR_HTTP2_STREAM_ERROR") this.#connection.failed(error.message);
    });
    stream.once("close", () => this.end(this.#statusAtClose(stream.rstCode)));
    stream.end(framed(message));
  }

  cancel(): void {
    this.#isOver = true;
    this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  end(status: GrpcStatus): void {
    if (this.#isOver || this.#connection.isCut()) return;
    this.#isOver = true;
    this.#listener.onEnd(status);
  }

  #onResponse(headers: IncomingHttpHeaders): void {
    this.#headers = headers;
    // A page of some web server, which is no gRPC.
    this.#refusal ??= toldStatus(headers) ?? httpStatus(headers);
  }

  #onData(piece: Buffer): void {
    if (this.#isOver || this.#refusal !== undefined) return;
    this.#listener.onPiece?.();
    this.#refusal = this.#cutter.push(piece, this.#take);
    if (this.#refusal !== undefined) this.#stream?.close(constants.NGHTTP2_CANCEL);
  }

  readonly #take = (message: Buffer): boolean => {
    this.#listener.onMessage?.(message);
    return !this.#isOver && !this.#connection.isCut();
  };

  #statusAtClose(rstCode: number | undefined): GrpcStatus {
    return (
      this.#refusal ??
      toldStatus(this.#trailers ?? this.#headers) ??
      this.#connection.lostStatus() ??
      resetStatus(rstCode ?? constants.NGHTTP2_NO_ERROR)
    );
  }
}

/** What stood between us and a connection. */
function connectProblem(error: Error & { code?: string; syscall?: string }, address: string): string {
  if (error.syscall === "getaddrinfo") return `name resolution failed for ${address} (${error.code})`;
  return messageOf(error);
}

/** Of several addresses each has an error of its own. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(messageOf))].join(", ");
  return error instanceof Error ? error.message : String(error);
}
