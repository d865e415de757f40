// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The coverage of a cluster that is read node by node: expected nodes, connected nodes, and the gap while one is missing.
// Invariant: at most one gap is open, however many nodes are missing, and its beginning precedes the last sign of life of
// each of them.
//
//   starting ── every node connected, or SETTLE_MS after the first list ──▶ complete ◀──▶ incomplete (gap)
//
// A new node is no gap: it counts as missing only once it has been connected, or when it was there at the start. A
// daemon that is restarted or replaced is one, until its node is connected again. A node with a deleted pod stays
// missing for REPLACE_MS, in case of a new pod.

import type { Clock } from "../lib/clock.ts";

export interface NodeCounts {
  /** Nodes with a KubeArmor pod. */
  desired: number;
  connected: number;
}

/** A gap of one or more nodes. */
export interface NodeGap {
  fromMs: number;
  /** Different nodes that were missing in it. */
  nodes: number;
}

export interface NodeCoverageListener {
  /** All nodes are connected, or the start is over; the second argument is the gap that ends. */
  onComplete(nowMs: number, gap: NodeGap | undefined): void;
  onIncomplete(gap: NodeGap, node: string, message: string): void;
}

export const SETTLE_MS = 30_000;
export const REPLACE_MS = 60_000;

interface NodeState {
  /** UIDs of its pods; empty after a deletion. */
  readonly pods: Set<string>;
  readonly connected: Set<string>;
  wasConnected: boolean;
  cancelRemoval: () => void;
}

export class NodeCoverage {
  readonly #clock: Clock;
  readonly #listener: NodeCoverageListener;
  /** The longest time without a sign of life on a stream that counts as connected. */
  readonly #maxSilenceMs: number;
  readonly #nodes = new Map<string, NodeState>();
  readonly #missing = new Set<string>();
  /** Nodes missing at any time of the open gap. */
  readonly #affected = new Set<string>();
  #gapFromMs: number | undefined;
  #phase: "starting" | "settling" | "running" = "starting";
  #cancelSettle = () => {};

  constructor(clock: Clock, maxSilenceMs: number, listener: NodeCoverageListener) {
    this.#clock = clock;
    this.#maxSilenceMs = maxSilenceMs;
    this.#listener = listener;
  }

  get counts(): NodeCounts {
    let connected = 0;
    for (const node of this.#nodes.values()) if (node.connected.size > 0) connected++;
    return { desired: this.#nodes.size, connected };
  }

  /** Names of at most `max` missing nodes. */
  missing(max: number): string[] {
    return [...this.#missing].sort().slice(0, max);
  }

  addPod(node: string, uid: string): void {
    const state = this.#nodes.get(node) ?? {
      pods: new Set(),
      connected: new Set(),
      wasConnected: false,
      cancelRemoval: () => {},
    };
    state.cancelRemoval();
    state.pods.add(uid);
    this.#nodes.set(node, state);
  }

  /** The first list is over. */
  settle(): void {
    if (this.#phase !== "starting") return;
    this.#phase = "settling";
    this.#cancelSettle = this.#clock.after(SETTLE_MS, () => this.#run());
    this.#updateGap();
  }

  removePod(node: string, uid: string, message: string): void {
    const state = this.#nodes.get(node);
    if (!state?.pods.delete(uid)) return;
    this.lost(node, uid, message);
    if (state.pods.size > 0) return;
    if (state.wasConnected) state.cancelRemoval = this.#clock.after(REPLACE_MS, () => this.#forget(node));
    else this.#forget(node);
  }

  connected(node: string, uid: string): void {
    const state = this.#nodes.get(node);
    if (!state?.pods.has(uid)) return;
    state.connected.add(uid);
    state.wasConnected = true;
    this.#missing.delete(node);
    this.#updateGap();
  }

  lost(node: string, uid: string, message: string): void {
    const state = this.#nodes.get(node);
    if (!state?.connected.delete(uid) || state.connected.size > 0) return;
    if (this.#phase === "running") this.#startGap([node], message);
  }

  /** Cancels all timers. */
  close(): void {
    this.#cancelSettle();
    for (const { cancelRemoval } of this.#nodes.values()) cancelRemoval();
  }

  #forget(node: string): void {
    this.#nodes.delete(node);
    this.#missing.delete(node);
    this.#updateGap();
  }

  /** Ends the start or the gap where nothing is missing any more. */
  #updateGap(): void {
    if (this.#phase === "settling") {
      const isConnected = ({ connected }: NodeState) => connected.size > 0;
      if ([...this.#nodes.values()].every(isConnected)) this.#run();
      return;
    }
    if (this.#gapFromMs === undefined || this.#missing.size > 0) return;
    const gap = { fromMs: this.#gapFromMs, nodes: this.#affected.size };
    this.#gapFromMs = undefined;
    this.#affected.clear();
    this.#listener.onComplete(this.#clock.nowMs(), gap);
  }

  #run(): void {
    this.#cancelSettle();
    this.#phase = "running";
    this.#listener.onComplete(this.#clock.nowMs(), undefined);
    const absent = [...this.#nodes].filter(([, { connected }]) => connected.size === 0).map(([node]) => node);
    if (absent.length > 0) this.#startGap(absent, "not connected since the start");
  }

  #startGap(nodes: readonly string[], message: string): void {
    for (const node of nodes) {
      this.#missing.add(node);
      this.#affected.add(node);
    }
    if (this.#gapFromMs !== undefined) return;
    // Nodes that turn out to be lost later gave their last sign of life after this.
    this.#gapFromMs = this.#clock.nowMs() - this.#maxSilenceMs;
    const gap = { fromMs: this.#gapFromMs, nodes: this.#affected.size };
    this.#listener.onIncomplete(gap, nodes[0] ?? "", message);
  }
}
