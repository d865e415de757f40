// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Speaks to a test cluster's API server without the operator's own client, and writes kubeconfigs for it.
// Invariant: it trusts the cluster's own certificate and no other.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";

/** An API server's answer: `body` is parsed JSON where it is JSON, else the text. */
export interface ApiAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes objects of many kinds, looked at in a few places.
  readonly body: any;
}

export interface ApiAccess {
  /** Sends one request; rejects when no answer comes within 30 s. */
  readonly request: (method: string, path: string, body?: unknown) => Promise<ApiAnswer>;
  /** Forgets all open connections. */
  readonly dropConnections: () => void;
}

const TIMEOUT_MS = 30_000;

/** Gives a small client with the rights of `token`. The certificate may appear later: its file is read at each use. */
export function createApiAccess(url: string, caPath: string, token: string): ApiAccess {
  let agent: Agent | undefined;
  const request = (method: string, path: string, body?: unknown) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      agent ??= new Agent({ keepAlive: true, ca: readCertificate(caPath) });
      const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
      const sent = httpsRequest(url + path, { method, headers, agent, timeout: TIMEOUT_MS }, (response) => {
        text(response).then((body) => resolve({ status: response.statusCode ?? 0, body: parse(body) }), reject);
      });
      sent.on("timeout", () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return {
    request,
    dropConnections: () => {
      agent?.destroy();
      agent = undefined;
    },
  };
}

/** The certificate, once it is whole: the API server may be writing it just now. */
function readCertificate(path: string): string {
  const text = existsSync(path) ? readFileSync(path, "utf8").trimEnd() : "";
  if (!text.endsWith("-----END CERTIFICATE-----")) throw new Error("the API server has made no certificate yet");
  return text;
}

/** Writes a kubeconfig with one context, for a bearer token; gives its path. */
export function writeKubeconfig(path: string, url: string, ca: Buffer, token: string): string {
  const name = "test";
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: url, "certificate-authority-data": ca.toString("base64") } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  return path;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
