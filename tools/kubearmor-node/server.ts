// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A KubeArmor node (or the relay: they behave alike) that tests and the demo can command.
// Speaks feeder.LogService over real gRPC, drops for slow clients as KubeArmor does, and counts what it drops.
//
// What differs from the Go servers, because grpc-js has no means for it or the difference is invisible:
// - it does not punish clients that ping more often than every 5 minutes (grpc-go: GOAWAY too_many_pings);
// - it pings at every keepalive interval, where grpc-go pings only after an interval without traffic;
// - a burst pushed within one turn of the event loop meets a client that can't read meanwhile.
//
// Invariant: an alert offered to a client is sent, dropped, queued or abandoned: exactly one of them, at any instant.

import type { ServerUnaryCall, ServerWritableStream, sendUnaryData } from "@grpc/grpc-js";
import { status } from "@grpc/grpc-js";
import { AlertClient, type AlertClientStats, type AlertCounts } from "./alert-client.ts";
import type { WireAlert } from "./alerts.ts";
import { type FloodOptions, flood } from "./flood.ts";
import { KEEPALIVE, type KubeArmorNode, type KubeArmorNodeOptions, type KubeArmorNodeStats } from "./node.ts";
import { openTransport, type Transport } from "./transport.ts";
import { encodeAlert } from "./wire.ts";

type Stream = ServerWritableStream<{ Filter: string }, object>;
type AlertStream = ServerWritableStream<{ Filter: string }, Buffer>;

class Node implements KubeArmorNode {
  readonly #options: Required<Omit<KubeArmorNodeOptions, "tls">> & Pick<KubeArmorNodeOptions, "tls">;
  readonly #clients = new Set<AlertClient>();
  readonly #others = new Set<Stream>();
  readonly #waiting = new Set<() => void>();
  #held: (() => void)[] = [];
  #gone: AlertCounts = { offered: 0, sent: 0, dropped: 0, queued: 0, abandoned: 0 };
  #pushed = 0;
  #unheard = 0;
  #clientsSeen = 0;
  #refused = 0;
  #healthChecks = 0;
  #frozen = false;
  #port = 0;
  #transport: Transport | undefined;

  constructor(options: KubeArmorNodeOptions) {
    this.#options = {
      host: "127.0.0.1",
      port: 0,
      queueSize: 1000,
      dropLikeKubeArmor: true,
      keepalive: KEEPALIVE.relay,
      ...options,
    };
    this.#port = this.#options.port;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    const { host } = this.#options;
    return `${host.includes(":") ? `[${host}]` : host}:${this.#port}`;
  }

  get clients(): readonly AlertClientStats[] {
    return [...this.#clients].map((client) => client.stats);
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  push(alerts: WireAlert | readonly WireAlert[]): void {
    for (const alert of Array.isArray(alerts) ? alerts : [alerts]) this.pushRaw(encodeAlert(alert));
  }

  pushRaw(bytes: Buffer): void {
    this.#pushed += 1;
    if (this.#clients.size === 0) this.#unheard += 1;
    for (const client of this.#clients) client.offer(bytes);
  }

  flood(options: FloodOptions): Promise<number> {
    return flood({ pushRaw: (bytes) => this.pushRaw(bytes), room: (signal) => this.#waitForRoom(signal) }, options);
  }

  endStreams(): void {
    for (const client of this.#clients) client.end(status.OK, "OK");
    for (const stream of this.#others) stream.end();
  }

  failStreams(code: status, details = "failed by the test"): void {
    for (const client of this.#clients) client.end(code, details);
    for (const stream of this.#others) stream.emit("error", { code, details });
  }

  freeze(): void {
    this.#frozen = true;
    for (const client of this.#clients) client.frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    for (const client of this.#clients) client.frozen = false;
    const held = this.#held;
    this.#held = [];
    for (const answer of held) answer();
  }

  async start(): Promise<void> {
    if (this.#transport) throw new Error("the node is started already");
    const handlers = {
      HealthCheck: this.#healthCheck,
      WatchAlerts: this.#watchAlerts,
      WatchMessages: this.#watchMessages,
      WatchLogs: this.#watchLogs,
    };
    this.#transport = await openTransport(handlers, { ...this.#options, port: this.#port });
    this.#port = this.#transport.port;
  }

  async stop(): Promise<void> {
    const transport = this.#transport;
    this.#transport = undefined;
    const closed = transport?.close();
    this.#forgetAll();
    await closed;
  }

  async close(graceMs = 5_000): Promise<void> {
    const transport = this.#transport;
    this.#transport = undefined;
    this.endStreams();
    await transport?.drain(graceMs);
    this.#forgetAll();
  }

  getStats(): KubeArmorNodeStats {
    const total = { ...this.#gone };
    for (const client of this.#clients) addCounts(total, client.stats);
    return {
      pushed: this.#pushed,
      unheard: this.#unheard,
      ...total,
      clients: this.#clients.size,
      clientsSeen: this.#clientsSeen,
      refused: this.#refused,
      healthChecks: this.#healthChecks,
      otherStreams: this.#others.size,
    };
  }

  waitForClients(count = 1, signal?: AbortSignal): Promise<void> {
    return this.#waitUntil(() => this.#clients.size >= count, signal);
  }

  waitUntilDrained(signal?: AbortSignal): Promise<void> {
    return this.#waitUntil(() => this.clients.every((client) => client.queued === 0), signal);
  }

  #healthCheck = (call: ServerUnaryCall<{ nonce: number }, unknown>, answer: sendUnaryData<unknown>): void => {
    this.#runWhenThawed(() => {
      this.#healthChecks += 1;
      answer(null, { Retval: call.request.nonce });
    });
  };

  #watchAlerts = (call: AlertStream): void => {
    this.#runWhenThawed(() => {
      if (call.cancelled) return;
      const { Filter } = call.request;
      if (Filter !== "policy" && Filter !== "all") return this.#refuse(call);
      const client = new AlertClient(++this.#clientsSeen, call, {
        queueSize: this.#options.queueSize,
        drops: this.#options.dropLikeKubeArmor,
        frozen: this.#frozen,
        onMoved: () => this.#notifyWaiting(),
      });
      this.#clients.add(client);
      call.once("cancelled", () => this.#leave(client));
      this.#notifyWaiting();
    });
  };

  #watchMessages = (call: Stream): void => this.#runWhenThawed(() => this.#keepOpen(call));

  #watchLogs = (call: Stream): void => {
    this.#runWhenThawed(() => {
      const { Filter } = call.request;
      if (Filter === "system" || Filter === "all") this.#keepOpen(call);
      else this.#refuse(call);
    });
  };

  #refuse(call: Stream | AlertStream): void {
    this.#refused += 1;
    call.end();
  }

  #keepOpen(call: Stream): void {
    if (call.cancelled) return;
    this.#others.add(call);
    call.once("cancelled", () => {
      this.#others.delete(call);
      this.#notifyWaiting();
    });
    this.#notifyWaiting();
  }

  #runWhenThawed(answer: () => void): void {
    if (this.#frozen) this.#held.push(answer);
    else answer();
  }

  #forgetAll(): void {
    for (const client of this.#clients) this.#leave(client);
    this.#others.clear();
    this.#held = [];
  }

  #leave(client: AlertClient): void {
    if (!this.#clients.delete(client)) return;
    client.leave();
    addCounts(this.#gone, client.stats);
    this.#notifyWaiting();
  }

  #waitForRoom(signal: AbortSignal | undefined): Promise<void> | undefined {
    const haveRoom = () => [...this.#clients].every((client) => client.hasRoom);
    return this.#options.dropLikeKubeArmor || haveRoom() ? undefined : this.#waitUntil(haveRoom, signal);
  }

  #notifyWaiting(): void {
    for (const look of [...this.#waiting]) look();
  }

  #waitUntil(holds: () => boolean, signal?: AbortSignal): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", onAbort);
        settle();
      };
      const look = () => holds() && finish(resolve);
      const onAbort = () => finish(() => reject(signal?.reason));
      this.#waiting.add(look);
      if (signal?.aborted) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
    });
  }
}

function addCounts(total: AlertCounts, counts: AlertCounts): void {
  total.offered += counts.offered;
  total.sent += counts.sent;
  total.dropped += counts.dropped;
  total.queued += counts.queued;
  total.abandoned += counts.abandoned;
}

/** Starts a KubeArmor node; resolves when it listens, rejects when it can't. */
export async function startNode(options: KubeArmorNodeOptions = {}): Promise<KubeArmorNode> {
  const node = new Node(options);
  await node.start();
  return node;
}
