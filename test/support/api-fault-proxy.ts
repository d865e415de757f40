// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An HTTP proxy before a real API server that lets one call of all go wrong.
// Invariant: every other call reaches the server and is answered by it, unchanged but for the namespace whose reports
// are listed: so that several operators can work on one server at a time, each as if alone.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Agent, request } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Cluster } from "../../tools/cluster/cluster.ts";

/** Answers that the proxy gives for the server: status and reason. */
const ANSWERS = {
  conflict: [409, "Conflict"],
  not_found: [404, "NotFound"],
  invalid: [422, "Invalid"],
  throttled: [429, "TooManyRequests"],
  internal: [500, "InternalError"],
  too_large: [413, "RequestEntityTooLarge"],
  expired: [410, "Expired"],
} as const;

/** Faults. Those with `before` keep the call from the server; those with `after` keep back its answer. */
export const API_FAULTS = [
  ...(Object.keys(ANSWERS) as (keyof typeof ANSWERS)[]),
  "timeout_before",
  "timeout_after",
  "reset_before",
  "reset_after",
] as const;
export type ApiFault = (typeof API_FAULTS)[number];

/** Fault of the `at`-th call, counted from 1. */
export interface Plan {
  fault: ApiFault;
  at: number;
}

const LIST = /^(\/apis\/reports\.kubearmor\.com\/[^/]+)\/((?:policyviolationreports|acceptedviolations)(?:\?.*)?)$/;

export class ApiFaultProxy {
  /** Method and path of every call, in order. */
  readonly calls: string[] = [];
  readonly #cluster: Cluster;
  readonly #namespace: string;
  readonly #plan: Plan | undefined;
  readonly #agent: Agent;
  readonly #server: Server;

  constructor(cluster: Cluster, namespace: string, plan: Plan | undefined) {
    this.#cluster = cluster;
    this.#namespace = namespace;
    this.#plan = plan;
    this.#agent = new Agent({ keepAlive: true, ca: readFileSync(join(cluster.dir, "certs/apiserver.crt")) });
    this.#server = createServer((call, answer) => this.#take(call, answer));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** True once the call that was to fail was made. */
  get isHit(): boolean {
    return this.#plan !== undefined && this.calls.length >= this.#plan.at;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(call: IncomingMessage, answer: ServerResponse): void {
    this.calls.push(`${call.method} ${call.url}`);
    const fault = this.calls.length === this.#plan?.at ? this.#plan.fault : undefined;
    switch (fault) {
      case undefined:
        this.#forward(call, (response) => {
          answer.writeHead(response.statusCode ?? 502, response.headers);
          response.on("error", () => answer.destroy()).pipe(answer);
        });
        break;
      case "timeout_before":
        call.resume();
        break;
      case "reset_before":
        call.socket.destroy();
        break;
      case "timeout_after":
        this.#forward(call, (response) => response.resume());
        break;
      case "reset_after":
        this.#forward(call, (response) => response.on("end", () => call.socket.destroy()).resume());
        break;
      default:
        call.resume();
        this.#answer(fault, call, answer);
    }
  }

  #forward(call: IncomingMessage, then: (response: IncomingMessage) => void): void {
    const path = (call.url ?? "").replace(LIST, `$1/namespaces/${this.#namespace}/$2`);
    const options = { method: call.method, headers: omitHost(call), agent: this.#agent };
    const sent = request(this.#cluster.url + path, options, then);
    sent.on("error", () => call.socket.destroy());
    call.on("close", () => call.socket.destroyed && sent.destroy());
    call.pipe(sent);
  }

  #answer(fault: keyof typeof ANSWERS, call: IncomingMessage, answer: ServerResponse): void {
    const [code, usual] = ANSWERS[fault];
    const reason = fault === "conflict" && call.method === "POST" ? "AlreadyExists" : usual;
    const message = fault === "too_large" ? "Request entity too large: limit is 3145728" : "injected";
    const status = { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message };
    const isWatch = call.url?.includes("watch=true") ?? false;
    const headers = { "content-type": "application/json", ...(code === 429 ? { "retry-after": "1" } : {}) };
    // A watch that can't go on says so within a stream that began well.
    answer.writeHead(isWatch && fault === "expired" ? 200 : code, headers);
    answer.end(JSON.stringify(isWatch && fault === "expired" ? { type: "ERROR", object: status } : status));
  }
}

function omitHost({ headers }: IncomingMessage): IncomingMessage["headers"] {
  const { host: _, ...kept } = headers;
  return kept;
}
