// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The server that sends the alerts of a benchmark (bench/source), and the Go client that is compared with ours.

import { ensureParts, locateParts } from "../../tools/parts/parts.ts";
import { JsonProcess } from "./json-process.ts";

/** Kinds of alerts: reports × violations × pods, spread over namespaces and nodes. */
export interface KeySpace {
  /** Policies with violations, each one report; default 100. */
  readonly reports?: number;
  /** Of each report; default 10. */
  readonly violations?: number;
  /** Pods that do each violation; default 3. */
  readonly pods?: number;
  /** Default 10. */
  readonly namespaces?: number;
  /** Default 20. */
  readonly nodes?: number;
}

export interface SendOptions {
  /** To each client. */
  readonly count: number;
  /** Alerts a second; default: as many as can be. */
  readonly rate?: number;
  /** `sweep`: every key in turn; `zipf` (default): the low ones more often. */
  readonly order?: "sweep" | "zipf";
  /** Makes every n-th alert one of a violation that was never seen before; default: none. */
  readonly freshEvery?: number;
  /** Drops what finds a client's queue of 1,000 full, as KubeArmor does; default: the client is waited for. */
  readonly drop?: boolean;
}

/** Outcome of the alerts of one `send`, over all clients; `offered` = `sent` + `dropped`. */
export interface Sent {
  readonly offered: number;
  readonly sent: number;
  readonly dropped: number;
  readonly elapsedMs: number;
  /** Of the server. */
  readonly cpuMs: number;
}

export interface AlertSource {
  readonly address: string;
  /** reports × violations × pods. */
  readonly keys: number;
  /** The mean length of an alert. */
  readonly alertBytes: number;
  /** Resolves once this number of clients watch, with the time at which the last came (milliseconds since the epoch). */
  readonly clients: (count: number, timeoutMs?: number) => Promise<number>;
  /** Resolves when nothing is queued any more. */
  readonly send: (options: SendOptions, timeoutMs?: number) => Promise<Sent>;
  readonly stop: () => Promise<void>;
}

/** The path of the program; built when it is not there yet. Rejects where it can't be had. */
export async function ensureAlertSource(onProgress: (line: string) => void = () => {}): Promise<string> {
  const names = ["alert-source"] as const;
  const part = (await ensureParts({ names, onProgress }))["alert-source"] ?? locateParts(names)["alert-source"];
  if (part === undefined || "missing" in part) throw new Error(`no alert-source: ${part?.missing}`);
  return part.path;
}

export interface ServeOptions {
  /** HOST:PORT; default: a free port of 127.0.0.1. */
  readonly listen?: string;
  /** Sends pings as KubeArmor's daemon does: closes a stream after 5 s without an answer. Default: as its relay. */
  readonly daemon?: boolean;
  /** Folder of ca.crt and ca.key, for mutual TLS with a certificate for each address. Default: plaintext. */
  readonly tls?: string;
}

/** Starts the server; it ends with this process. */
export async function startAlertSource(program: string, options: KeySpace & ServeOptions = {}): Promise<AlertSource> {
  const flags = Object.entries(options).map(([name, value]) => `-${name}=${value}`);
  const server = new JsonProcess({ file: program, args: ["serve", ...flags] });
  const { listening, keys, alertBytes } = await server.readNext("listening");
  return {
    address: listening as string,
    keys: keys as number,
    alertBytes: alertBytes as number,
    clients: async (count, timeoutMs) => {
      for (;;) {
        const line = await server.readNext("clients", timeoutMs);
        if (line["clients"] === count) return line["atMs"] as number;
      }
    },
    send: async ({ count, rate = 0, order = "zipf", freshEvery = 0, drop = false }, timeoutMs) => {
      const command = { send: count, rate, order, freshEvery, drop };
      return (await server.ask(command, "offered", timeoutMs)) as unknown as Sent;
    },
    stop: () => server.stop(),
  };
}
