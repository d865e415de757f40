// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns every request to the Kubernetes API: one pool of connections, a time limit on each call, one kind of error.
// Invariant: never retries and never waits between calls; pace and patience belong to the callers.

import type { Dispatcher } from "undici";
import { PRODUCT } from "../api/names.ts";
import type { Clock } from "../lib/clock.ts";
import { getErrorMessage } from "../lib/error-message.ts";
import { readBody, readLines } from "./answer-body.ts";
import { type ApiCall, ApiError, type ApiErrorCode, classifyAnswer, classifyFailure } from "./api-error.ts";
import { CallLimit } from "./call-limit.ts";
import type { LoadedKubeConfig } from "./kubeconfig.ts";
import { type Prepared, Transport } from "./transport.ts";

/** Accept value for reads that need only metadata: the object's name, uid, labels, annotations, owners. */
export const METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/** The same, of a server that can only send all. */
export const METADATA_FIRST = `${METADATA_ONLY},application/json`;
/** As METADATA_ONLY, for lists. */
export const METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";

export const MERGE_PATCH = "application/merge-patch+json";
export const JSON_PATCH = "application/json-patch+json";

/** One call; `path` begins with `/api`, and its variable parts are already encoded. */
export interface KubeRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  /** Entries that are undefined are left out. */
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, in place of `body`. */
  text?: string;
  /** Default `application/json`. */
  contentType?: string;
  /** Default `application/json`. */
  accept?: string;
  /** Allows a compressed answer: for large lists over slow networks. */
  mayCompress?: boolean;
  /** For connecting, sending and the whole answer; default is the client's. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  /** Called with the length of a successful answer, before it is parsed. */
  onSize?: (bytes: number) => void;
}

/** A request with an answer that is read line by line while it lasts. */
export interface KubeStreamRequest extends Pick<KubeRequest, "path" | "query" | "signal" | "accept"> {
  /** Milliseconds that the server may be silent. */
  idleMs: number;
  /** Called when the server has accepted the request; the first line may come much later. */
  onOpen?: () => void;
}

/** Outcome of a call, for metrics. */
export interface KubeCall {
  method: KubeRequest["method"];
  path: string;
  code: "OK" | ApiErrorCode;
}

export interface KubeClientOptions {
  kubeConfig: LoadedKubeConfig;
  /** The program's version, for the User-Agent. */
  version: string;
  clock: Clock;
  /** Default 30,000. */
  timeoutMs?: number;
  /** Default 10,000. */
  connectTimeoutMs?: number;
  /** Bound of one answer; default 32 MiB. A read beyond it is TooLarge. */
  maxResponseBytes?: number;
  /** Called once per call, when it has ended. */
  observe?: (call: KubeCall) => void;
}

/** The part of KubeClient that the sinks need. */
export type ApiRequester = Pick<KubeClient, "request">;

/** The part of KubeClient that a watch needs. */
export type ApiStreamer = Pick<KubeClient, "stream">;

export class KubeClient {
  readonly #options: KubeClientOptions;
  readonly #target: Pick<ApiCall, "server" | "proxy">;
  readonly #transport: Transport;
  #requests = 0;
  /** Difference between the server's clock and monotonic time, by its latest answer. */
  #serverOffsetMs: number | undefined;

  constructor(options: KubeClientOptions) {
    this.#options = options;
    const { server, proxy } = options.kubeConfig;
    this.#target = { server, proxy };
    this.#transport = new Transport(options.kubeConfig, options.connectTimeoutMs ?? 10_000);
  }

  /** Requests sent and connections opened since the start. */
  stats(): { requests: number; connectionsOpened: number } {
    return { requests: this.#requests, connectionsOpened: this.#transport.connectionsOpened };
  }

  /** Time of the server, to about a second: the Date of its latest answer and the monotonic time since. */
  serverNowMs(): number | undefined {
    return this.#serverOffsetMs === undefined ? undefined : this.#options.clock.monotonicMs() + this.#serverOffsetMs;
  }

  /**
   * Sends one request and returns the answer's JSON, unchecked; undefined when the answer is empty.
   *
   * Throws ApiError and nothing else. An aborted signal and a time-out are `NotAnswered`.
   */
  async request<T = unknown>(request: KubeRequest): Promise<T> {
    const { observe } = this.#options;
    const call = { method: request.method, path: request.path, ...this.#target };
    let code: KubeCall["code"] = "OK";
    try {
      return (await this.#measure(call, request)) as T;
    } catch (error) {
      const apiError = classifyFailure(call, error);
      code = apiError.code;
      throw apiError;
    } finally {
      observe?.({ method: request.method, path: request.path, code });
    }
  }

  /**
   * Sends a GET and yields the JSON of each line of its answer, unchecked, until the server ends it.
   *
   * Throws ApiError and nothing else. An aborted signal, silence and a lost connection are `NotAnswered`; a line longer
   * than `maxResponseBytes` is `TooLarge`.
   */
  async *stream(request: KubeStreamRequest): AsyncGenerator<unknown, void, undefined> {
    const { observe } = this.#options;
    const call = { method: "GET", path: request.path, ...this.#target };
    const limit = this.#limit(request.signal, request.idleMs);
    let code: KubeCall["code"] = "OK";
    try {
      limit.check(call);
      const answer = await this.#open(call, { method: "GET", ...request }, limit.signal);
      if (!isSuccess(answer)) throw await this.#readRefusal(call, answer);
      request.onOpen?.();
      for await (const line of readLines(answer.body, this.#maxBytes, limit.restart)) yield parseAnswer(call, line);
    } catch (error) {
      const apiError = classifyFailure(call, limit.findReason(error));
      code = apiError.code;
      throw apiError;
    } finally {
      limit.end();
      observe?.({ method: "GET", path: request.path, code });
    }
  }

  /** Breaks all connections; calls in flight end as NotAnswered. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #measure(call: ApiCall, request: KubeRequest): Promise<unknown> {
    const limit = this.#limit(request.signal, request.timeoutMs ?? this.#options.timeoutMs ?? 30_000);
    try {
      limit.check(call);
      return await this.#send(call, request, limit.signal);
    } catch (error) {
      throw limit.findReason(error);
    } finally {
      limit.end();
    }
  }

  #limit(signal: AbortSignal | undefined, ms: number): CallLimit {
    return new CallLimit(this.#options.clock, signal, ms);
  }

  get #maxBytes(): number {
    return this.#options.maxResponseBytes ?? 32 * 1024 * 1024;
  }

  async #open(call: ApiCall, request: KubeRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { dispatcher, headers, generation } = await this.#prepareCredentials(call, signal);
    const body = request.text ?? (request.body === undefined ? null : JSON.stringify(request.body));
    this.#requests += 1;
    const url = new URL(`${call.server}${request.path}${queryString(request.query)}`);
    const answer = await dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      signal,
      method: request.method,
      headers: {
        ...headers,
        "user-agent": `${PRODUCT}/${this.#options.version}`,
        accept: request.accept ?? "application/json",
        ...(request.mayCompress ? { "accept-encoding": "gzip" } : {}),
        ...(body === null ? {} : { "content-type": request.contentType ?? "application/json" }),
      },
      body,
    });
    const serverMs = Date.parse(String(answer.headers["date"]));
    if (!Number.isNaN(serverMs)) this.#serverOffsetMs = serverMs - this.#options.clock.monotonicMs();
    if (answer.statusCode === 401) this.#transport.renew(generation);
    return answer;
  }

  async #send(call: ApiCall, request: KubeRequest, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#open(call, request, signal);
    if (!isSuccess(answer)) throw await this.#readRefusal(call, answer);
    const text = await this.#read(answer);
    if (text === undefined)
      throw createUnreadableError(call, "TooLarge", "the answer is larger than this program accepts");
    request.onSize?.(text.length);
    return text === "" ? undefined : parseAnswer(call, text);
  }

  async #readRefusal(call: ApiCall, answer: Dispatcher.ResponseData): Promise<ApiError> {
    const body = (await this.#read(answer)) ?? "";
    const retryAfter = answer.headers["retry-after"];
    return classifyAnswer(call, {
      status: answer.statusCode,
      body,
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      nowMs: this.#options.clock.nowMs(),
    });
  }

  async #read(answer: Dispatcher.ResponseData): Promise<string | undefined> {
    const text = await readBody(answer.body, this.#maxBytes, answer.headers["content-encoding"] === "gzip");
    // The pool takes a connection back one turn of the event loop after its answer has ended. A caller that goes on at
    // once would find it still taken and open a second one.
    await this.#options.clock.turn();
    return text;
  }

  /** An exec plugin can hang forever, so the call's signal ends the wait for it as well. */
  async #prepareCredentials(call: ApiCall, signal: AbortSignal): Promise<Prepared> {
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([this.#transport.prepare(), aborted.promise]);
    } catch (error) {
      if (signal.aborted) {
        throw new ApiError("Unavailable", `${call.method} ${call.path}: not sent: no credentials in time`);
      }
      const isUnreadable = error instanceof SyntaxError || error instanceof TypeError;
      const text = isUnreadable ? "the exec plugin printed no ExecCredential" : getErrorMessage(error);
      throw new ApiError(
        "Unauthorized",
        `${call.method} ${call.path}: not sent: no credentials: ${text}; check the user in the kubeconfig`,
        { cause: error },
      );
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function isSuccess({ statusCode }: Dispatcher.ResponseData): boolean {
  return statusCode >= 200 && statusCode <= 299;
}

function parseAnswer(call: ApiCall, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = "the answer is not JSON: is this address a Kubernetes API server?";
    throw createUnreadableError(call, "Unknown", why, cause);
  }
}

/** A success that can't be read: after a write the stored state is unknown. */
function createUnreadableError(call: ApiCall, readCode: ApiErrorCode, text: string, cause?: unknown): ApiError {
  const code = call.method === "GET" ? readCode : "NotAnswered";
  return new ApiError(code, `${call.method} ${call.server}${call.path}: ${text}`, { cause });
}

function queryString(query: KubeRequest["query"]): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) params.set(name, String(value));
  }
  return params.size === 0 ? "" : `?${params.toString()}`;
}
