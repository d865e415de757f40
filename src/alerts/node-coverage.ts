// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The coverage of a cluster that is read node by node: expected nodes, connected nodes, and the gap while one is missing.
// Invariant: at most one gap is open, however many nodes are missing, and its beginning precedes the last sign of life of
// each of them.
//
//   starting ── every node connected, or SETTLE_MS after the first list ──▶ complete ◀──▶ incomplete (gap)
//
// A new node is not a gap while its daemon starts: it is missing, since its first pod, where it is not connected within
// NEW_NODE_MS. A daemon that is restarted or replaced is one, until its node is connected again. A node with a deleted
// pod stays missing for REPLACE_MS, in case of a new pod.

import type { CoveredNodes } from "../api/v1alpha1.ts";
import type { Clock } from "../lib/clock.ts";

export interface NodeGap {
  fromMs: number;
  /** Different nodes that were missing in it. */
  nodes: number;
}

export interface MissingNode {
  node: string;
  /** The newest reason. */
  message: string;
}

export interface NodeCoverageListener {
  /** All nodes are connected, or the start is over; the second argument is the gap that ends. */
  onComplete(nowMs: number, gap: NodeGap | undefined): void;
  onIncomplete(gap: NodeGap, first: MissingNode): void;
}

export const SETTLE_MS = 30_000;
export const REPLACE_MS = 60_000;
/** For the image and the start of a new node's daemon. */
export const NEW_NODE_MS = 300_000;

interface NodeState {
  /** UIDs of its pods; empty after a deletion. */
  readonly pods: Set<string>;
  readonly connected: Set<string>;
  wasConnected: boolean;
  /** Reason of the newest loss or failed connection. */
  problem: string;
  /** Ends the timer of its removal, or of the end of its start. */
  cancelTimer: () => void;
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

  get counts(): CoveredNodes {
    let connected = 0;
    for (const node of this.#nodes.values()) if (node.connected.size > 0) connected++;
    return { desired: this.#nodes.size, connected };
  }

  missing(max: number): MissingNode[] {
    const names = [...this.#missing].sort().slice(0, max);
    return names.map((node) => ({ node, message: this.#nodes.get(node)?.problem ?? "" }));
  }

  /** All nodes that are not read, also new ones, by name. */
  get unread(): MissingNode[] {
    return [...this.#nodes]
      .filter(([, { connected }]) => connected.size === 0)
      .map(([node, { problem }]) => ({ node, message: problem }))
      .sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  addPod(node: string, uid: string): void {
    const known = this.#nodes.get(node);
    const state = known ?? this.#addNode(node);
    if (state.wasConnected) state.cancelTimer();
    state.pods.add(uid);
  }

  #addNode(node: string): NodeState {
    const state: NodeState = {
      pods: new Set(),
      connected: new Set(),
      wasConnected: false,
      problem: "not connected yet",
      cancelTimer: () => {},
    };
    if (this.#phase === "running") {
      const fromMs = this.#clock.nowMs();
      state.cancelTimer = this.#clock.after(NEW_NODE_MS, () => this.#startGap([node], fromMs));
    }
    this.#nodes.set(node, state);
    return state;
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
    state.cancelTimer();
    if (state.wasConnected) state.cancelTimer = this.#clock.after(REPLACE_MS, () => this.#forget(node));
    else this.#forget(node);
  }

  connected(node: string, uid: string): void {
    const state = this.#nodes.get(node);
    if (!state?.pods.has(uid)) return;
    state.cancelTimer();
    state.connected.add(uid);
    state.wasConnected = true;
    this.#missing.delete(node);
    this.#updateGap();
  }

  /** A stream ended, or could not be opened. */
  lost(node: string, uid: string, message: string): void {
    const state = this.#nodes.get(node);
    if (state === undefined) return;
    state.problem = message;
    if (!state.connected.delete(uid) || state.connected.size > 0) return;
    if (this.#phase === "running") this.#startGap([node], this.#clock.nowMs() - this.#maxSilenceMs);
  }

  close(): void {
    this.#cancelSettle();
    for (const { cancelTimer } of this.#nodes.values()) cancelTimer();
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
    if (this.#missing.size === 0) this.#endGap();
  }

  #endGap(): void {
    if (this.#gapFromMs === undefined) return;
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
    if (absent.length > 0) this.#startGap(absent, this.#clock.nowMs() - this.#maxSilenceMs);
  }

  /** `fromMs` is the last sign of life; where an open gap begins later, another one takes its place. */
  #startGap(nodes: readonly string[], fromMs: number): void {
    if (this.#gapFromMs !== undefined && fromMs < this.#gapFromMs) this.#endGap();
    for (const node of nodes) {
      this.#missing.add(node);
      this.#affected.add(node);
    }
    // Nodes that turn out to be lost later gave their last sign of life after the beginning.
    if (this.#gapFromMs !== undefined) return;
    for (const node of this.#missing) this.#affected.add(node);
    this.#gapFromMs = fromMs;
    const node = nodes[0] ?? "";
    const message = this.#nodes.get(node)?.problem ?? "";
    this.#listener.onIncomplete({ fromMs, nodes: this.#affected.size }, { node, message });
  }
}
