// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An API server that holds Leases in memory, a network that delays and loses, and processes that stand still.

import { ApiError } from "../../../src/kube/api-error.ts";
import type { ApiRequester, KubeRequest } from "../../../src/kube/client.ts";
import { type Clock, sleepBy } from "../../../src/lib/clock.ts";
import type { FakeClock } from "../../support/fake-clock.ts";

export interface LeaseObject {
  metadata: {
    name: string;
    resourceVersion?: string;
    uid?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  spec: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/** Fate of one request. */
export interface Weather {
  /** Until the server has it; default 1. */
  requestMs?: number;
  /** Until the answer is back; default 1. */
  answerMs?: number;
  /** "request": never carried out; "answer": carried out, without an answer. */
  lost?: "request" | "answer";
  /** Answer of the server in place of the action. */
  error?: ApiError;
}

/** The server's side of optimistic concurrency, as kube-apiserver does it for Leases. */
export class LeaseServer {
  lease: LeaseObject | undefined;
  readonly methods: string[] = [];
  #version = 100;

  /** A write of another client, such as kubectl. */
  set(lease: LeaseObject): void {
    const { name, labels, annotations, uid = `uid-${this.#version}` } = lease.metadata;
    this.#version += 1;
    const metadata = { name, uid, resourceVersion: String(this.#version) };
    this.lease = structuredClone({
      metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
      spec: lease.spec,
    });
  }

  handle(request: KubeRequest): LeaseObject {
    const { method, path } = request;
    const isNamed = path === "/apis/coordination.k8s.io/v1/namespaces/security/leases/operator";
    const body = request.body === undefined ? undefined : (structuredClone(request.body) as LeaseObject);
    this.methods.push(method);
    const stored = this.lease;
    if (method === "POST" && path.endsWith("/namespaces/security/leases") && body) {
      if (stored) throw new ApiError("AlreadyExists", "leases operator already exists");
      this.set(body);
    } else if (method === "GET" && isNamed) {
      if (!stored) throw new ApiError("NotFound", "leases operator not found");
    } else if (method === "PUT" && isNamed && body) {
      const { resourceVersion, uid } = body.metadata;
      if (resourceVersion !== stored?.metadata.resourceVersion || uid !== stored?.metadata.uid) {
        throw new ApiError("Conflict", "the object has been modified");
      }
      this.set(body);
    } else {
      throw new ApiError("Invalid", `not expected: ${method} ${path}`);
    }
    if (!this.lease) throw new Error("the lease is set");
    return structuredClone(this.lease);
  }
}

/** One process: its own wall clock over the world's time, and the ability to stand still. */
export class FakeProcess implements Clock {
  /** Wall clock minus world time. */
  skewMs = 0;
  #isFrozen = false;
  #waiting: { kind: "timer" | "answer"; fn: () => void }[] = [];
  readonly #world: FakeClock;
  readonly #random: () => number;

  constructor(world: FakeClock, random: () => number = () => world.random()) {
    this.#world = world;
    this.#random = random;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  nowMs(): number {
    return this.#world.nowMs() + this.skewMs;
  }

  monotonicMs(): number {
    return this.#world.nowMs();
  }

  random(): number {
    return this.#random();
  }

  after(ms: number, fn: () => void): () => void {
    let isCancelled = false;
    const cancel = this.#world.after(ms, () => this.run("timer", () => isCancelled || fn()));
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  turn(): Promise<void> {
    return this.#world.turn();
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal);
  }

  /** Runs `fn` now, or when the process goes on. */
  run(kind: "timer" | "answer", fn: () => void): void {
    if (this.#isFrozen) this.#waiting.push({ kind, fn });
    else fn();
  }

  freeze(): void {
    this.#isFrozen = true;
  }

  /** Goes on with what has waited: Node looks at sockets and at timers in turn, so either kind may be first. */
  async thaw(first: "timer" | "answer"): Promise<void> {
    this.#isFrozen = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    const ordered = [...waiting.filter((w) => w.kind === first), ...waiting.filter((w) => w.kind !== first)];
    for (const { fn } of ordered) {
      fn();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Connection of one process to the server: `weather` is asked for each request. Records what was asked for. */
export class LeaseConnection implements ApiRequester {
  readonly requests: { atMs: number; request: KubeRequest }[] = [];
  weather: (request: KubeRequest) => Weather = () => ({});
  readonly #world: FakeClock;
  readonly #process: FakeProcess;
  readonly #server: LeaseServer;

  constructor(world: FakeClock, process: FakeProcess, server: LeaseServer) {
    this.#world = world;
    this.#process = process;
    this.#server = server;
  }

  request<T>(request: KubeRequest): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    if (request.signal?.aborted) return Promise.reject(new ApiError("Unavailable", "not sent"));
    const { requestMs = 1, answerMs = 1, lost, error } = this.weather(request);
    this.requests.push({ atMs: this.#world.nowMs(), request });
    const giveUp = () => reject(new ApiError("NotAnswered", "no answer in time"));
    const cancelTimeout = this.#process.after(request.timeoutMs ?? 30_000, giveUp);
    request.signal?.addEventListener("abort", giveUp, { once: true });
    // The network and the server go on without the process.
    this.#world.after(requestMs, () => {
      if (lost === "request") return;
      const settle = error === undefined ? this.#carryOut<T>(request, resolve, reject) : () => reject(error);
      if (lost === "answer") return;
      this.#world.after(answerMs, () => this.#process.run("answer", settle));
    });
    return promise.finally(() => {
      cancelTimeout();
      request.signal?.removeEventListener("abort", giveUp);
    });
  }

  #carryOut<T>(request: KubeRequest, resolve: (answer: T) => void, reject: (error: unknown) => void) {
    try {
      const answer = this.#server.handle(request) as T;
      return () => resolve(answer);
    } catch (error) {
      return () => reject(error);
    }
  }
}
