// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The one classification of answers and failures of the Kubernetes API.
// Invariant: a pure function of its arguments; no other code looks at a status number or at the text of an error.

import { getErrorMessage } from "../lib/error-message.ts";
import { isObject, toObject, toText } from "../lib/json.ts";

/** Outcome of an API call. Callers branch on this alone. */
export type ApiErrorCode =
  /** The named object does not exist. */
  | "NotFound"
  /** The namespace does not exist or is being deleted. */
  | "NamespaceGone"
  /** The stored object is not the version that was sent. */
  | "Conflict"
  | "AlreadyExists"
  | "Forbidden"
  /** The credentials were refused, or could not be had. */
  | "Unauthorized"
  /** The server has no such resource: the CRD or the API group is not there. */
  | "NotServed"
  /** 429: the server asks for patience. */
  | "Throttled"
  /** The request, or the object in the store, or the answer to a read, is beyond a limit. */
  | "TooLarge"
  /** The server understood and refused: schema, unknown field, malformed request. */
  | "Invalid"
  /** The paging token of a list is too old: list again from the start. */
  | "Expired"
  /** Nothing was carried out: no connection, or the server said that it can't now. */
  | "Unavailable"
  /** No answer, or one that leaves it open: the write may have happened. */
  | "NotAnswered"
  | "Unknown";

/** The call that an error is about; `server` is scheme, host and port. */
export interface ApiCall {
  method: string;
  server: string;
  path: string;
  /** URL of the proxy; undefined for a direct connection. */
  proxy?: string | undefined;
}

/** An HTTP answer that is not a success. `nowMs` is only needed for a Retry-After that is a date. */
export interface ApiAnswer {
  status: number;
  body: string;
  retryAfter?: string | undefined;
  nowMs: number;
}

/** The only error that KubeClient throws; `message` says what failed, where, and what to do. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  /** Milliseconds that the server asked to wait, 0 to 300,000. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ApiErrorCode,
    message: string,
    options: { retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Reason why a call was aborted before an answer; the reason of the AbortSignal. */
export class CallAborted extends Error {
  override name = "CallAborted";
}

/** The part of a metav1.Status that the classification reads; everything is optional, for it is foreign text. */
interface Status {
  message: string;
  reason: string;
  kind: string;
  name: string;
  causes: string[];
  retryAfterSeconds: number | undefined;
}

/** Text from the server is foreign and may hold whole objects: enough to act on, and no more. */
const MAX_MESSAGE_CHARS = 600;
const MAX_RETRY_AFTER_MS = 300_000;

/** etcd's limit, the API server's gRPC limit towards etcd, and the API server's own limit of a request body. */
const TOO_LARGE = /etcdserver: request is too large|trying to send message larger than max|Request entity too large/;

/** An admission webhook chooses the status of its denial, and an admission policy among four. */
const DENIED = /^admission webhook ".*" denied the request|ValidatingAdmissionPolicy '.*' denied request/;

/** A 500 that came from the store after the request was handed to it: the store may have carried it out. */
const MAY_HAVE_HAPPENED =
  /etcdserver: (request timed out|leader changed|server stopped)|context deadline exceeded|context canceled|code = (Unavailable|DeadlineExceeded|Canceled)/;

/** Failures of getting a connection at all: the request never left this machine. */
const NO_CONNECTION: Record<string, string> = {
  ECONNREFUSED: "nothing listens there: is the API server up, and is the address in the kubeconfig right?",
  ENOTFOUND: "the host name can't be resolved: check the address in the kubeconfig",
  EAI_AGAIN: "the host name can't be resolved at the moment",
  EHOSTUNREACH: "there is no route to it: check the network",
  ENETUNREACH: "there is no route to it: check the network",
  UND_ERR_CONNECT_TIMEOUT: "it did not accept a connection in time: check the address and the network",
  UND_ERR_DESTROYED: "the client is closed",
  UND_ERR_CLOSED: "the client is closed",
  EPROTO: "it does not speak TLS as expected: check the scheme and the port of the address in the kubeconfig",
};

const TLS_ERROR =
  /^(ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED)/;

/** Classifies an answer with a status other than 2xx. */
export function classifyAnswer(call: ApiCall, answer: ApiAnswer): ApiError {
  const status = parseStatus(answer.body);
  const code = toCode(call, answer.status, answer.body, status);
  const message = status?.message || answer.body.trim() || "no explanation";
  const reason = status?.reason ? ` ${status.reason}` : "";
  const hint = code === "Forbidden" ? findForbiddenHint(message) : HINTS[code];
  return new ApiError(
    code,
    `${call.method} ${call.path}: ${shorten(message)} (${answer.status}${reason})${hint ? `; ${hint}` : ""}`,
    { retryAfterMs: retryAfterMs(answer, status) },
  );
}

/** Classifies a call that ended without an answer; `error` is what the transport threw or the reason of the abort. */
export function classifyFailure(call: ApiCall, error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const through = call.proxy === undefined ? "" : ` through the proxy ${omitUser(call.proxy)}`;
  const where = `${call.method} ${call.server}${call.path}${through}`;
  if (error instanceof CallAborted) {
    return new ApiError("NotAnswered", `${where}: ${error.message}`, { cause: error });
  }
  const name = findErrorCode(error);
  const text = shorten(getErrorMessage(error));
  const hint = NO_CONNECTION[name];
  if (hint) return new ApiError("Unavailable", `${where}: ${name}; ${hint}`, { cause: error });
  if (name.startsWith("UND_ERR_SOCKS5") || text.startsWith("Proxy response (")) {
    return new ApiError("Unavailable", `${where}: the proxy refuses: ${text}`, { cause: error });
  }
  if (TLS_ERROR.test(name)) {
    const advice = "check certificate-authority and tls-server-name in the kubeconfig, and the clock";
    return new ApiError("Unavailable", `${where}: no TLS connection: ${text} (${name}); ${advice}`, { cause: error });
  }
  if (name.startsWith("UND_ERR_INVALID") || error instanceof TypeError) {
    return new ApiError("Unknown", `${where}: the request can't be sent: ${text}`, { cause: error });
  }
  return new ApiError("NotAnswered", `${where}: the connection was lost before the answer came: ${text}`, {
    cause: error,
  });
}

const HINTS: Partial<Record<ApiErrorCode, string>> = {
  Unauthorized: "check the token or the client certificate",
  NotServed: "the API server does not serve this resource: is it installed?",
  TooLarge: "the object is beyond the limit of the API server or of etcd",
  NotAnswered: "the request may have been carried out",
};

/** A 403 comes from RBAC, from a quota and from admission: each is another person's to resolve. */
function findForbiddenHint(message: string): string {
  if (/exceeded quota|must specify [^:]* for:|maximum .* usage per/.test(message))
    return "a ResourceQuota or LimitRange of the namespace does not allow it: raise the quota";
  if (/^admission webhook "/.test(message)) return "an admission webhook denies it: change its rules";
  if (/ValidatingAdmissionPolicy/.test(message)) return "an admission policy denies it: change the policy";
  return "grant it to the operator's ServiceAccount (RBAC)";
}

function toCode(call: ApiCall, http: number, body: string, status: Status | undefined): ApiErrorCode {
  if (http >= 400 && http < 500 && http !== 429 && DENIED.test(status?.message ?? "")) return "Forbidden";
  if (TOO_LARGE.test(status?.message ?? body)) return "TooLarge";
  switch (http) {
    case 400:
    case 422:
      return "Invalid";
    case 401:
      return "Unauthorized";
    case 403:
      return status?.causes.includes("NamespaceTerminating") ? "NamespaceGone" : "Forbidden";
    case 404:
      return explainNotFound(call, status);
    case 405:
    case 406:
    case 415:
      return "Invalid";
    case 409:
      return status?.reason === "AlreadyExists" ? "AlreadyExists" : "Conflict";
    case 410:
      return "Expired";
    case 413:
      return "TooLarge";
    case 429:
      return "Throttled";
    // A gateway that gave up on the server, or a server that gave up waiting: the write may go on behind its back.
    case 502:
    case 504:
      return "NotAnswered";
  }
  if (http >= 500) return MAY_HAVE_HAPPENED.test(status?.message ?? body) ? "NotAnswered" : "Unavailable";
  return "Unknown";
}

/**
 * Distinguishes the three meanings of 404: a missing API is plain text or a Status that names nothing; a missing
 * namespace is a Status about a namespace in answer to a request about something else.
 */
function explainNotFound(call: ApiCall, status: Status | undefined): ApiErrorCode {
  if (status === undefined || status.name === "") return "NotServed";
  if (status.kind === "namespaces" && !/\/namespaces\/[^/]+$/.test(call.path)) return "NamespaceGone";
  return "NotFound";
}

function parseStatus(body: string): Status | undefined {
  const status = parseObject(body);
  if (status?.["kind"] !== "Status") return undefined;
  const details = toObject(status["details"]);
  const causes = Array.isArray(details["causes"]) ? details["causes"] : [];
  const seconds = details["retryAfterSeconds"];
  return {
    message: toText(status["message"]),
    reason: toText(status["reason"]),
    kind: toText(details["kind"]),
    name: toText(details["name"]),
    causes: causes.filter(isObject).map((cause) => toText(cause["reason"])),
    retryAfterSeconds: typeof seconds === "number" ? seconds : undefined,
  };
}

function retryAfterMs(answer: ApiAnswer, status: Status | undefined): number | undefined {
  const header = answer.retryAfter?.trim() ?? "";
  let ms: number | undefined;
  if (/^\d+$/.test(header)) ms = Number(header) * 1000;
  else if (header !== "" && !Number.isNaN(Date.parse(header))) ms = Date.parse(header) - answer.nowMs;
  else if (status?.retryAfterSeconds !== undefined) ms = status.retryAfterSeconds * 1000;
  return ms === undefined ? undefined : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}

/** A proxy's URL without user and password. */
function omitUser(proxy: string): string {
  const { protocol, host } = new URL(proxy);
  return `${protocol}//${host}`;
}

function findErrorCode(error: unknown): string {
  const code = isObject(error) ? error["code"] : undefined;
  return typeof code === "string" ? code : "";
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : undefined;
  } catch {
    // Proxies and the server's own "404 page not found" answer in plain text: that is a finding, not a failure.
    return undefined;
  }
}

function shorten(message: string): string {
  const line = message.replace(/\s+/g, " ").trim();
  return line.length <= MAX_MESSAGE_CHARS ? line : `${line.slice(0, MAX_MESSAGE_CHARS)}…`;
}
