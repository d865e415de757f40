// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Nodes that raise alerts, and the sources by which readers read a shard of them. Every alert is a violation of its own,
// so that each one can be found in the reports, or found missing.

import type { AlertListener } from "../../../src/alerts/alert-source.ts";
import { waitForAbort } from "../../../src/lib/clock.ts";
import { formatMicroTime } from "../../../src/lib/time.ts";
import { pickIndex } from "../../../src/scale/leases/rendezvous.ts";
import type { ShardSource } from "../../../src/scale/reader/reader.ts";
import type { FakeClock } from "../fake-clock.ts";
import { alert, toLetters } from "../gen.ts";

const NODES = ["node-a", "node-b", "node-c", "node-d", "node-e", "node-f"];
const POLICIES = ["one", "two", "three", "four"];

export interface RaisedAlert {
  resource: string;
  namespace: string;
  policy: string;
  us: number;
}

interface Source extends ShardSource {
  shard: number;
  isCut: boolean;
  /** The process that reads it. */
  reader: object;
  listener?: AlertListener | undefined;
}

export class SimulatedNodes {
  readonly raised: RaisedAlert[] = [];
  /** Namespaces in which alerts are raised. */
  namespaces: readonly string[] = ["shop"];
  /** The longest time from an alert on its node to the reader. */
  maxDelayMs = 0;
  readonly #clock: FakeClock;
  readonly #shards: number;
  #sources: Source[] = [];

  constructor(clock: FakeClock, shards: number) {
    this.#clock = clock;
    this.#shards = shards;
  }

  createSource(shard: number, reader: object): Source {
    const clock = this.#clock;
    const nodes = { desired: NODES.filter((node) => this.#getShard(node) === shard).length, connected: 0 };
    const source: Source = {
      ...{ shard, isCut: false, reader, nodes },
      run: async (listener, signal) => {
        await clock.sleep(150, signal);
        if (!signal.aborted) {
          nodes.connected = nodes.desired;
          listener.onConnected();
          // As KubeArmor, which registers a client a moment after it has answered.
          await clock.sleep(300, signal);
          source.listener = listener;
          await waitForAbort(signal);
        }
        this.#sources = this.#sources.filter((one) => one !== source);
      },
    };
    this.#sources.push(source);
    return source;
  }

  dropReader(reader: object): void {
    this.#sources = this.#sources.filter((source) => source.reader !== reader);
  }

  /** The nodes of a shard are not read, until `reconnect`. */
  cut(shard: number): void {
    const atMs = this.#clock.nowMs();
    for (const source of this.#sources.filter((one) => one.shard === shard)) {
      const { desired: nodes } = source.nodes;
      source.isCut = true;
      source.nodes.connected = 0;
      const gap = { lastReadMs: atMs - 1000, atMs, reason: "node_down", message: "cut", nodes } as const;
      source.listener?.onDisconnected(gap);
    }
  }

  reconnect(shard: number): void {
    for (const source of this.#sources.filter((one) => one.shard === shard && one.isCut)) {
      source.isCut = false;
      source.nodes.connected = source.nodes.desired;
      source.listener?.onConnected({ nodes: source.nodes.desired });
    }
  }

  /** Alerts on the nodes, each received by every reader that reads it when it arrives. */
  raise(count = 1): void {
    for (let i = 0; i < count; i++) this.#raiseOne(this.raised.length);
  }

  #raiseOne(index: number): void {
    const clock = this.#clock;
    const HostName = NODES[index % NODES.length] as string;
    const policy = POLICIES[Math.floor(clock.random() * POLICIES.length)] as string;
    const namespace = this.namespaces[index % this.namespaces.length] as string;
    const resource = `/opt/tool-${toLetters(index)}`;
    const us = Math.round(clock.nowMs() * 1000);
    this.raised.push({ resource, namespace, policy, us });
    const fields = { HostName, NamespaceName: namespace, PolicyName: policy, UpdatedTime: formatMicroTime(us) };
    const received = alert(fields, { Resource: resource, ProcessName: resource });
    const deliver = () => {
      for (const { shard, isCut, listener } of this.#sources)
        if (shard === this.#getShard(HostName) && !isCut) listener?.onAlert(received, 0);
    };
    if (this.maxDelayMs === 0) deliver();
    else clock.after(Math.floor(clock.random() * this.maxDelayMs), deliver);
  }

  #getShard(node: string): number {
    return pickIndex(node, this.#shards);
  }
}
