// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A read-only HTTP server for a few fixed pages: metrics on one port, probes on another.
// Every connection carries one request, answered with `Connection: close`, and is closed after MAX_CONNECTION_MS:
// pipelined requests are never parsed, and a slow reader holds one response at most.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";

export interface HttpPage {
  status: number;
  body: string | Buffer;
  /** Default: plain text. */
  contentType?: string;
}

export interface HttpServerOptions {
  /** `HOST:PORT`, `[IPv6]:PORT` or `:PORT` for all addresses; port 0 takes any free one. */
  address: string;
  /** Section of the configuration that holds the address, for errors. */
  section: "metrics" | "health";
  pages: Readonly<Record<string, () => HttpPage | Promise<HttpPage>>>;
  clock: Pick<Clock, "after">;
  log: Logger;
  /** Time to receive a request, in milliseconds; default 5,000. */
  requestTimeoutMs?: number;
}

export interface HttpServer {
  port: number;
  /** Ends all connections and stops listening; may be called more than once. */
  close(): Promise<void>;
}

/** The address cannot be listened on; the message names it, its setting and the way out. */
export class ListenError extends Error {
  override name = "ListenError";
}

/** Connections at a time. Kubelets and scrapers need a handful. */
const MAX_CONNECTIONS = 32;
/** Longest life of a connection, in milliseconds. */
const MAX_CONNECTION_MS = 30_000;
const TEXT = "text/plain; charset=utf-8";
/** Result of a parser's callback: ends parsing, as an upgrade of the connection does. */
const SKIP_ALL = 2;

async function renderPage(
  request: IncomingMessage,
  options: HttpServerOptions,
): Promise<HttpPage & { allow?: string }> {
  const { pages } = options;
  const path = (request.url ?? "").split("?", 1)[0] ?? "";
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (page === undefined) {
    return { status: 404, body: `not found; pages here: ${Object.keys(pages).join(", ")}\n` };
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, body: "only GET and HEAD\n", allow: "GET, HEAD" };
  }
  return await page();
}

async function respond(request: IncomingMessage, response: ServerResponse, options: HttpServerOptions): Promise<void> {
  request.socket.pause();
  const { status, body, contentType, allow } = await renderPage(request, options).catch(
    (err: unknown): HttpPage & { allow?: string } => {
      options.log.error({ err, path: request.url }, "http request failed");
      return { status: 500, body: "failed; see the log for the reason\n" };
    },
  );
  response.writeHead(status, {
    "Content-Type": contentType ?? TEXT,
    "Content-Length": Buffer.byteLength(body),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    Connection: "close",
    ...(allow === undefined ? {} : { Allow: allow }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is in use",
  EACCES: "this account may not listen on that port",
  EADDRNOTAVAIL: "this machine does not have that address",
  ENOTFOUND: "unknown host name",
  EAI_AGAIN: "the host name cannot be resolved",
};

function listen(server: Server, { address, section }: HttpServerOptions): Promise<void> {
  const split = address.lastIndexOf(":");
  const host = address.slice(0, split).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(split + 1));
  return new Promise((resolve, reject) => {
    const refuse = (cause: NodeJS.ErrnoException) => {
      const why = LISTEN_FAULTS[cause.code ?? ""] ?? cause.message;
      const message =
        `cannot listen on ${address} (${section}.address): ${why}; ` +
        `choose another with --${section}-address or PVO_${section.toUpperCase()}_ADDRESS`;
      reject(new ListenError(message, { cause }));
    };
    server.once("error", refuse);
    server.listen(host === "" ? { port } : { host, port }, () => {
      server.off("error", refuse);
      resolve();
    });
  });
}

/**
 * Parses one request's headers and nothing after them. Node would parse all of the chunk that it has read: up to 1,700
 * requests in 64 KiB, each answered with 503, or a body of 10,900 parts. It declares no type for its parser.
 */
function parseOneHeader(socket: Socket & { parser?: Parser }): void {
  const { parser } = socket;
  if (!parser) return;
  const { onIncoming } = parser;
  parser.onIncoming = (...request) => {
    parser.onIncoming = () => SKIP_ALL;
    onIncoming(...request);
    return SKIP_ALL;
  };
}

/** Node's parser of a connection; the result of its callback decides how it continues. */
interface Parser {
  onIncoming: (...request: unknown[]) => number;
}

/** Closes a connection that lives for too long, however slowly its client reads. */
function limitLife(socket: Socket, clock: Pick<Clock, "after">): void {
  const cancel = clock.after(MAX_CONNECTION_MS, () => socket.destroy());
  socket.once("close", cancel);
}

/**
 * Serves the pages until closed.
 *
 * @throws ListenError when the address cannot be listened on.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const requestTimeoutMs = options.requestTimeoutMs ?? 5000;
  const server = createServer(
    {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Node's default is 30 s.
      connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
      maxHeaderSize: 8192,
    },
    (request, response) => void respond(request, response, options),
  );
  limitConnections(server, MAX_CONNECTIONS);
  server.on("connection", (socket) => {
    parseOneHeader(socket);
    limitLife(socket, options.clock);
  });
  await listen(server, options);
  server.on("error", (err) => options.log.error({ err }, "http server failed"));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        // The only error is that it is closed already.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Closes connections beyond `most`, the oldest of the address with the most: a client that holds many of them locks out
 * no other.
 */
function limitConnections(server: Server, most: number): void {
  const open = new OpenConnections();
  server.on("connection", (socket) => {
    const { remoteAddress = "" } = socket;
    open.add(socket, remoteAddress);
    socket.once("close", () => open.delete(socket, remoteAddress));
    if (open.count > most) open.removeOldest().destroy();
  });
}

/** Connections in the order of their beginning, by the address of the client. */
class OpenConnections {
  readonly #byAddress = new Map<string, Set<Socket>>();
  count = 0;

  add(socket: Socket, address: string): void {
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? new Set()).add(socket));
    this.count++;
  }

  delete(socket: Socket, address: string): void {
    const own = this.#byAddress.get(address);
    if (!own?.delete(socket)) return;
    this.count--;
    if (own.size === 0) this.#byAddress.delete(address);
  }

  removeOldest(): Socket {
    const [address, own] = [...this.#byAddress].reduce((a, b) => (b[1].size > a[1].size ? b : a));
    const oldest = own.values().next().value as Socket;
    this.delete(oldest, address);
    return oldest;
  }
}
