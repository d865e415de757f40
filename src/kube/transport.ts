// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the connections to the API server: one pool, and the credentials that go with each request.
// Invariant: no request opens a pool of its own (the client library's HTTP layer would, once per call).

import type { RequestOptions } from "node:https";
import { isDeepStrictEqual } from "node:util";
import { KubeConfig } from "@kubernetes/client-node";
import { Agent, type Dispatcher, ProxyAgent } from "undici";
import type { LoadedKubeConfig } from "./kubeconfig.ts";

/** Target and credentials of one request. */
export interface Prepared {
  dispatcher: Dispatcher;
  headers: Record<string, string | string[]>;
  /** Generation of the credentials, for `renew`. */
  generation: number;
}

/** Under the idle timeout of API servers and of the load balancers before them. */
const IDLE_CONNECTION_MS = 30_000;

/**
 * A keep-alive pool of HTTP/1.1 connections.
 *
 * HTTP/1.1 because it costs the least per request here, and because one lost connection then costs one request. The
 * number of connections is not capped: it equals the number of requests in flight, which the callers bound, and a cap
 * would let a slow write hold up a lease renewal.
 */
export class Transport {
  readonly #kubeConfig: Pick<LoadedKubeConfig, "headers" | "proxy">;
  #config: KubeConfig;
  readonly #connectTimeoutMs: number;
  #generation = 0;
  #preparing: Promise<Prepared> | undefined;
  /** The TLS material is as it was when the pool was built; a change of any byte asks for a new pool. */
  #pool: { dispatcher: Dispatcher; tls: Pick<RequestOptions, "ca" | "cert" | "key"> } | undefined;
  #connectionsOpened = 0;

  constructor(kubeConfig: LoadedKubeConfig, connectTimeoutMs: number) {
    this.#kubeConfig = kubeConfig;
    this.#config = kubeConfig.config;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  /** Connections opened since the start. */
  get connectionsOpened(): number {
    return this.#connectionsOpened;
  }

  /**
   * Reads the credentials (token files at most once a minute, certificates each time, exec plugins when theirs expired)
   * and returns the pool that fits them. Requests at the same time share one read: an exec plugin may ask a person.
   * Throws when there are no credentials.
   */
  prepare(): Promise<Prepared> {
    this.#preparing ??= this.#prepare().finally(() => {
      this.#preparing = undefined;
    });
    return this.#preparing;
  }

  /** Drops credentials that the server refused, so that an exec plugin is run again; once per generation. */
  renew(generation: number): void {
    if (generation !== this.#generation) return;
    this.#generation++;
    const { clusters, users, contexts, currentContext } = this.#config;
    // The library keeps a plugin's credentials in the KubeConfig until their expiry.
    this.#config = new KubeConfig();
    this.#config.loadFromOptions({ clusters, users, contexts, currentContext });
  }

  async #prepare(): Promise<Prepared> {
    const generation = this.#generation;
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers: Record<string, string | string[]> = { ...this.#kubeConfig.headers };
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value).trim();
    if (options.auth) headers["Authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`;

    const { ca, cert, key } = options;
    const tls = { ca, cert, key };
    if (this.#pool === undefined || !isDeepStrictEqual(this.#pool.tls, tls)) {
      // Requests in flight end on the old pool; close() waits for them.
      this.#pool?.dispatcher.close(() => undefined);
      this.#pool = { dispatcher: this.#build(options), tls };
    }
    return { dispatcher: this.#pool.dispatcher, headers, generation };
  }

  /** Breaks every connection; requests in flight fail. */
  async close(): Promise<void> {
    await this.#pool?.dispatcher.destroy();
  }

  #build(options: RequestOptions): Dispatcher {
    const tls = {
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      ...(options.cert === undefined ? {} : { cert: options.cert }),
      ...(options.key === undefined ? {} : { key: options.key }),
      ...(options.rejectUnauthorized === undefined ? {} : { rejectUnauthorized: options.rejectUnauthorized }),
      ...(options.servername === undefined ? {} : { servername: options.servername }),
    };
    const connect = { keepAlive: true, keepAliveInitialDelay: IDLE_CONNECTION_MS, timeout: this.#connectTimeoutMs };
    const pool = {
      allowH2: false,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      // The whole call has one timer, in KubeClient; two more would only blur which one spoke.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    const { proxy } = this.#kubeConfig;
    const dispatcher = proxy
      ? new ProxyAgent({ ...pool, uri: proxy, requestTls: { ...tls, ...connect } })
      : new Agent({ ...pool, connect: { ...tls, ...connect } });
    dispatcher.on("connect", () => {
      this.#connectionsOpened += 1;
    });
    return dispatcher;
  }
}
