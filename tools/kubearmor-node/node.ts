// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Commands and queries of a KubeArmor node: the contract that tests, the demo and main.ts use.

import type { status } from "@grpc/grpc-js";
import type { AlertClientStats, AlertCounts } from "./alert-client.ts";
import type { WireAlert } from "./alerts.ts";
import type { FloodOptions } from "./flood.ts";
import type { TlsFiles } from "./transport.ts";

/** Server keepalive: a ping after `timeMs`, the connection closed `timeoutMs` after a ping without answer. */
export const KEEPALIVE = {
  relay: { timeMs: 5_000, timeoutMs: 20_000 },
  daemon: { timeMs: 1_000, timeoutMs: 5_000 },
} as const;

export interface KubeArmorNodeOptions {
  /** Address to listen on; default 127.0.0.1. */
  host?: string;
  /** Port to listen on; default 0, a free one, which start() keeps after stop(). */
  port?: number;
  /** Alerts that wait for each client; default 1000. */
  queueSize?: number;
  /** Drop what finds a client's queue full; default true. When false the queue grows and flood() waits for room. */
  dropLikeKubeArmor?: boolean;
  /** Default KEEPALIVE.relay. */
  keepalive?: { timeMs: number; timeoutMs: number };
  /** Default plaintext. */
  tls?: TlsFiles;
}

/** The counts of all clients, gone ones included, and what has no client. */
export interface KubeArmorNodeStats extends AlertCounts {
  /** Alerts pushed; each is offered to every client. */
  pushed: number;
  /** Alerts pushed while no client watched: they are never seen. */
  unheard: number;
  /** Clients of WatchAlerts now. */
  clients: number;
  /** Clients of WatchAlerts since the node was made. */
  clientsSeen: number;
  /** Calls of WatchAlerts and WatchLogs that were ended at once because of their filter. */
  refused: number;
  /** Health checks answered. */
  healthChecks: number;
  /** Open WatchMessages and WatchLogs streams. */
  otherStreams: number;
}

export interface KubeArmorNode {
  /** The port of this node; stays the same over stop() and start(). */
  readonly port: number;
  /** host:port, as a client dials it. */
  readonly address: string;
  /** Clients of WatchAlerts, oldest first. */
  readonly clients: readonly AlertClientStats[];
  /** True while freeze() is in force. */
  readonly frozen: boolean;
  /** Offers alerts to every client, at once and without waiting. */
  push(alerts: WireAlert | readonly WireAlert[]): void;
  /** Offers any bytes as one message. */
  pushRaw(bytes: Buffer): void;
  /** Pushes many alerts; resolves with how many. */
  flood(options: FloodOptions): Promise<number>;
  /** Ends every open stream with status OK. */
  endStreams(): void;
  /** Ends every open stream with an error. */
  failStreams(code: status, details?: string): void;
  /** Goes on accepting but answers nothing: health checks hang, new streams and alerts wait. HTTP/2 itself stays alive. */
  freeze(): void;
  /** Ends freeze(): answers what waits. */
  thaw(): void;
  /** Closes the port and every socket without a word, as a killed process does. */
  stop(): Promise<void>;
  /** Ends every stream with status OK and closes; after `graceMs` (default 5000) closes as stop() does. */
  close(graceMs?: number): Promise<void>;
  /** Listens again on the same port, with the same counts. */
  start(): Promise<void>;
  getStats(): KubeArmorNodeStats;
  /** Resolves once at least `count` (default 1) clients watch alerts; rejects when the signal aborts. */
  waitForClients(count?: number, signal?: AbortSignal): Promise<void>;
  /** Resolves once nothing is queued for any client; rejects when the signal aborts. */
  waitUntilDrained(signal?: AbortSignal): Promise<void>;
}
