// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The HTTP server for metrics and probes.
// Invariant: it only reads; no request can change, slow down or fill up anything else.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../lib/logger.ts";

/** The answer to a probe; `detail` says why a check fails (or more about why it does not). */
export interface Health {
  ok: boolean;
  checks: Readonly<Record<string, { ok: boolean; detail?: string }>>;
}

export interface ServerOptions {
  /** `HOST:PORT`, `[IPv6]:PORT` or `:PORT` for all addresses; port 0 takes any free one. */
  address: string;
  ready: () => Health;
  healthy: () => Health;
  metrics: () => Promise<string>;
  /** Default: Prometheus's text format. */
  metricsContentType?: string;
  log: Logger;
  /** How long a client may take to send a request, in milliseconds; default 5,000. */
  requestTimeoutMs?: number;
}

export interface MetricsServer {
  /** The port that is really listened on. */
  port: number;
  /** Ends all connections and stops listening; may be called more than once. */
  close(): Promise<void>;
}

/** The address can't be listened on; the message says which, by which setting, and what to do. */
export class ListenError extends Error {
  override name = "ListenError";
}

interface Answer {
  status: number;
  body: string;
  contentType?: string;
  allow?: string;
}

/** Far above any number of probes and scrapers. */
const MAX_CONNECTIONS = 100;
/** A client that takes nothing of an answer for so long is cut off. */
const IDLE_MS = 30_000;
const TEXT = "text/plain; charset=utf-8";
const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** As Kubernetes' own servers print their checks with `?verbose`. */
function answerHealth(name: string, { ok, checks }: Health): Answer {
  const lines = Object.entries(checks).map(([check, { ok: passes, detail }]) => {
    if (passes) return `[+]${check} ok${detail === undefined ? "" : `: ${detail}`}\n`;
    return `[-]${check}: ${detail ?? "failed"}\n`;
  });
  const body = `${lines.join("")}${name} check ${ok ? "passed" : "failed"}\n`;
  return { status: ok ? 200 : 503, body };
}

async function answer(request: IncomingMessage, options: ServerOptions): Promise<Answer> {
  const path = (request.url ?? "").split("?", 1)[0];
  if (path !== "/metrics" && path !== "/healthz" && path !== "/readyz") {
    return { status: 404, body: "not found; there are /metrics, /healthz and /readyz\n" };
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, body: "only GET and HEAD\n", allow: "GET, HEAD" };
  }
  if (path === "/healthz") return answerHealth("healthz", options.healthy());
  if (path === "/readyz") return answerHealth("readyz", options.ready());
  const contentType = options.metricsContentType ?? PROMETHEUS_TEXT;
  return { status: 200, body: await options.metrics(), contentType };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
): Promise<void> {
  // A body is never looked at; it must not be kept either.
  request.resume();
  const { status, body, contentType, allow } = await answer(request, options).catch(
    (err: unknown): Answer => {
      options.log.error({ err, path: request.url }, "a request to the metrics server failed");
      return { status: 500, body: "failed; the log has the reason\n" };
    },
  );
  response.writeHead(status, {
    "Content-Type": contentType ?? TEXT,
    "Content-Length": Buffer.byteLength(body),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    ...(allow === undefined ? {} : { Allow: allow }),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

const LISTEN_FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there",
  EACCES: "this account may not listen on that port",
  EADDRNOTAVAIL: "this machine does not have that address",
  ENOTFOUND: "the host name is not known",
  EAI_AGAIN: "the host name can't be resolved",
};

function listen(server: Server, address: string): Promise<void> {
  const split = address.lastIndexOf(":");
  const host = address.slice(0, split).replace(/^\[|\]$/g, "");
  const port = Number(address.slice(split + 1));
  return new Promise((resolve, reject) => {
    const refuse = (cause: NodeJS.ErrnoException) => {
      const why = LISTEN_FAULTS[cause.code ?? ""] ?? cause.message;
      const message =
        `can't serve metrics and probes on ${address} (metrics.address): ${why}; ` +
        "choose another with --metrics-address or PVO_METRICS_ADDRESS";
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
 * Serves /metrics, /healthz and /readyz until closed.
 *
 * @throws ListenError when the address can't be listened on.
 */
export async function startServer(options: ServerOptions): Promise<MetricsServer> {
  const requestTimeoutMs = options.requestTimeoutMs ?? 5000;
  const server = createServer(
    {
      headersTimeout: requestTimeoutMs,
      requestTimeout: requestTimeoutMs,
      // Node looks for slow clients at this interval, 30 s unless told.
      connectionsCheckingInterval: Math.min(1000, requestTimeoutMs),
      maxHeaderSize: 8192,
    },
    (request, response) => void handle(request, response, options),
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = IDLE_MS;
  await listen(server, options.address);
  server.on("error", (err) => options.log.error({ err }, "the metrics server failed"));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        // Its error says only that it is closed already.
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
