// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Requests to the API server that the tests' client does not make: patches of every kind, and watches.

import { readFileSync } from "node:fs";
import { Agent, request as httpsRequest, type RequestOptions } from "node:https";
import { createInterface } from "node:readline";

interface KubeConfig {
  clusters: [{ cluster: { server: string; "certificate-authority-data": string } }];
  users: [{ user: { token: string } }];
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One change of a watch. */
export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "ERROR";
  readonly object: T;
}

/** A client with the rights of a test cluster's kubeconfig, on one connection. */
export class KubeApi {
  readonly #server: string;
  readonly #options: RequestOptions;
  readonly #agent: Agent;

  constructor(kubeconfigPath: string) {
    // The tests' clusters write theirs as JSON.
    const config = JSON.parse(readFileSync(kubeconfigPath, "utf8")) as KubeConfig;
    const { server, ["certificate-authority-data"]: ca } = config.clusters[0].cluster;
    this.#server = server;
    this.#agent = new Agent({ keepAlive: true, ca: Buffer.from(ca, "base64"), maxSockets: 8 });
    this.#options = {
      agent: this.#agent,
      headers: { Authorization: `Bearer ${config.users[0].user.token}`, "User-Agent": "bench" },
    };
  }

  /** Sends one request; rejects when no answer comes. */
  send(method: string, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { ...this.#options.headers, "Content-Type": "application/json" };
      const sent = httpsRequest(this.#server + path, { ...this.#options, method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
        response.on("error", reject);
      });
      sent.on("error", reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** As `send`, with the answer parsed; rejects for a status that is not a success. */
  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { status, text } = await this.send(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
  }

  /** Watches from now on until the signal aborts; resolves when the watch is open. */
  watch<T>(path: string, onEvent: (event: WatchEvent<T>) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const url = `${this.#server}${path}?watch=1`;
      const sent = httpsRequest(url, { ...this.#options, method: "GET", signal }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`watch ${path}: ${response.statusCode}`));
        // The end of the watch is the caller's doing.
        response.on("error", () => undefined);
        createInterface(response)
          .on("line", (line) => onEvent(JSON.parse(line) as WatchEvent<T>))
          .on("error", () => undefined);
        resolve();
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
