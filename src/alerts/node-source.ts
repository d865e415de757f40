// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The alert source that reads every node's KubeArmor daemon directly, without the relay: one stream per pod of KubeArmor.
// Invariant: a pod has at most one stream, an address too; an alert is handed over in the turn in which it was read.

import type { CoveredNodes } from "../api/v1alpha1.ts";
import type { Clock } from "../lib/clock.ts";
import { type Logger, silentLogger } from "../lib/logger.ts";
import type { AlertListener, AlertSource } from "./alert-source.ts";
import { DEFAULT_HEALTH_INTERVAL_MS, DEFAULT_HEALTH_TIMEOUT_MS } from "./alert-stream.ts";
import { ConnectSlots, onSign } from "./connect-slots.ts";
import { type MissingNode, NodeCoverage, type NodeGap } from "./node-coverage.ts";
import { type AlertStream, ReconnectingSource } from "./reconnecting-source.ts";
import type { RelaySourceOptions } from "./relay-source.ts";
import { createSecuredStream } from "./secured-stream.ts";
import { type ChooseSecurity, plaintext } from "./tls/mode.ts";
import { daemonPeer } from "./tls/peer-text.ts";

/** A pod of KubeArmor's daemon. */
export interface NodeTarget {
  uid: string;
  node: string;
  /** `host:port`, one for each IP address of the pod; not empty. */
  addresses: readonly string[];
}

/** Gets the pods of KubeArmor as they come and go. */
export interface NodeObserver {
  /** A pod is there, or was changed. */
  onNode(target: NodeTarget): void;
  onGone(uid: string): void;
  /** All pods that were there at the start have been reported. */
  onListed(): void;
}

/** Port of the list of KubeArmor's pods; resolves after the abort. */
export type FollowNodes = (observer: NodeObserver, signal: AbortSignal) => Promise<void>;

export interface NodeSourceOptions extends Omit<RelaySourceOptions, "address" | "serverName" | "peer"> {
  followNodes: FollowNodes;
  /** Streams that connect at the same time; default 50. */
  maxConnecting?: number;
}

const DEFAULT_MAX_CONNECTING = 50;
/** One look at the certificates serves all connections of this time. */
const SECURITY_MS = 5_000;
const MAX_LOGGED_NODES = 5;

interface Daemon {
  target: NodeTarget;
  stop: AbortController;
  running: Promise<void>;
}

export class NodeSource implements AlertSource {
  readonly #options: NodeSourceOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #slots: ConnectSlots;
  readonly #security: ChooseSecurity;
  readonly #daemons = new Map<string, Daemon>();
  /** UID of the pod that has the stream to an address. */
  readonly #byAddress = new Map<string, string>();
  /** Pods without a stream, because another pod has their address. */
  readonly #displaced = new Map<string, NodeTarget>();
  #coverage: NodeCoverage | undefined;

  constructor(options: NodeSourceOptions, clock: Clock, logger: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger;
    this.#slots = new ConnectSlots(options.maxConnecting ?? DEFAULT_MAX_CONNECTING);
    this.#security = remember(options.security ?? plaintext, clock);
  }

  get nodes(): CoveredNodes {
    return this.#coverage?.counts ?? { desired: 0, connected: 0 };
  }

  /** The first node that is not read and why, and the number of others; undefined where all are. */
  get problem(): string | undefined {
    const [first, ...others] = this.#coverage?.unread ?? [];
    if (first === undefined) return undefined;
    const more = others.length === 0 ? "" : ` (and ${others.length} other nodes)`;
    return `node ${first.node}: ${first.message}${more}`;
  }

  async run(listener: AlertListener, signal: AbortSignal): Promise<void> {
    const coverage = this.#watchCoverage(listener);
    this.#coverage = coverage;
    const observer: NodeObserver = {
      onNode: (target) => this.#update(target, coverage, listener),
      onGone: (uid) => this.#forget(uid, coverage, listener),
      onListed: () => coverage.settle(),
    };
    await this.#options.followNodes(observer, signal);
    coverage.close();
    const running = [...this.#daemons.values()].map((daemon) => {
      daemon.stop.abort();
      return daemon.running;
    });
    await Promise.all(running);
  }

  #watchCoverage(listener: AlertListener): NodeCoverage {
    const { healthIntervalMs = DEFAULT_HEALTH_INTERVAL_MS, healthTimeoutMs = DEFAULT_HEALTH_TIMEOUT_MS } =
      this.#options;
    return new NodeCoverage(this.#clock, healthIntervalMs + healthTimeoutMs, {
      onComplete: (_, gap) => {
        const { desired, connected } = this.nodes;
        // After a start without all nodes the next line names those that are missing.
        if (gap || connected === desired)
          this.#logger.info({ desired, connected, ...(gap && { missed: gap.nodes }) }, "connected to nodes");
        listener.onConnected(gap && { nodes: gap.nodes });
      },
      onIncomplete: (gap, first) => this.#reportMissing(listener, gap, first),
    });
  }

  #reportMissing(listener: AlertListener, gap: NodeGap, { node, message }: MissingNode): void {
    const missing = this.#coverage?.missing(MAX_LOGGED_NODES).map((one) => one.node) ?? [];
    this.#logger.warn({ ...this.nodes, missing, node, peerMessage: message }, "disconnected from nodes");
    listener.onDisconnected({
      lastReadMs: gap.fromMs,
      atMs: this.#clock.nowMs(),
      reason: "node_down",
      message: `node ${node}: ${message}`,
      nodes: gap.nodes,
    });
  }

  #update(target: NodeTarget, coverage: NodeCoverage, listener: AlertListener): void {
    const known = this.#daemons.get(target.uid);
    const same = known?.target ?? this.#displaced.get(target.uid);
    if (same?.node === target.node && isSameList(same.addresses, target.addresses)) return;
    if (known) this.#remove(target.uid, coverage, "its addresses changed");
    this.#displaced.delete(target.uid);
    // The pod that was at this address before is gone, even where the API server still lists it.
    for (const address of target.addresses) {
      const other = this.#daemons.get(this.#byAddress.get(address) ?? "")?.target;
      if (other) {
        this.#remove(other.uid, coverage, "its address belongs to another pod");
        this.#displaced.set(other.uid, other);
      }
      this.#byAddress.set(address, target.uid);
    }
    coverage.addPod(target.node, target.uid);
    const stop = new AbortController();
    const source = this.#connect(target);
    const running = source.run(
      {
        onAlert: (alert, line) => listener.onAlert(alert, line),
        onRejected: (reason, detail, line) => listener.onRejected(reason, `node ${target.node}: ${detail}`, line),
        onConnected: () => coverage.connected(target.node, target.uid),
        onDisconnected: ({ message }) => coverage.lost(target.node, target.uid, message),
      },
      stop.signal,
    );
    this.#daemons.set(target.uid, { target, stop, running });
  }

  /** A pod is gone: one that had its address before, and is still listed, gets a stream again. */
  #forget(uid: string, coverage: NodeCoverage, listener: AlertListener): void {
    this.#displaced.delete(uid);
    this.#remove(uid, coverage, "its pod was deleted");
    for (const target of [...this.#displaced.values()]) {
      if (target.addresses.some((address) => this.#byAddress.has(address))) continue;
      this.#displaced.delete(target.uid);
      this.#update(target, coverage, listener);
    }
  }

  #remove(uid: string, coverage: NodeCoverage, message: string): void {
    const daemon = this.#daemons.get(uid);
    if (daemon === undefined) return;
    daemon.stop.abort();
    this.#daemons.delete(uid);
    for (const address of daemon.target.addresses) {
      if (this.#byAddress.get(address) === uid) this.#byAddress.delete(address);
    }
    coverage.removePod(daemon.target.node, uid, message);
  }

  #connect({ node, addresses }: NodeTarget): ReconnectingSource {
    const streams = addresses.map((address) =>
      createSecuredStream(
        { ...this.#options, address, security: this.#security, peer: daemonPeer(node, address) },
        this.#clock,
      ),
    );
    return new ReconnectingSource(
      this.#slots.limit(createAlternatingStream(streams)),
      { ...this.#options, name: `${node} (${addresses.join(", ")})` },
      this.#clock,
      // A thousand nodes that are lost at once are one line of the log, not a thousand.
      {
        ...silentLogger,
        debug: (...line) => this.#logger.debug(...line),
        warn: (...line) => this.#logger.debug(...line),
      },
    );
  }
}

/** Opens the streams in turn, and the one that was alive again first. */
function createAlternatingStream(streams: readonly AlertStream[]): AlertStream {
  let at = 0;
  return async (listener, signal) => {
    let wasAlive = false;
    const stream = streams[at % streams.length] as AlertStream;
    const mark = () => {
      wasAlive = true;
    };
    const end = await stream(onSign(listener, mark), signal);
    if (!wasAlive) at++;
    return end;
  };
}

/** Asks once for all connections of a short time, so that a thousand nodes are not a thousand reads of the Secret. */
function remember(choose: ChooseSecurity, clock: Clock): ChooseSecurity {
  let last: { atMs: number; answer: ReturnType<ChooseSecurity> } | undefined;
  return () => {
    const nowMs = clock.monotonicMs();
    if (last !== undefined && nowMs - last.atMs < SECURITY_MS) return last.answer;
    // The end of one stream must not cancel the read for the others.
    last = { atMs: nowMs, answer: choose(new AbortController().signal) };
    return last.answer;
  };
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
