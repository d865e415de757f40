// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's pods, followed once and given to the readers of the shards that their nodes belong to.

import type { FollowNodes, NodeObserver, NodeTarget } from "../../alerts/node-source.ts";
import { waitForAbort } from "../../lib/clock.ts";
import { pickIndex } from "../leases/rendezvous.ts";

export class NodeFanOut {
  readonly #shards: number;
  readonly #nodes = new Map<string, NodeTarget>();
  readonly #observers = new Map<NodeObserver, number>();
  #isListed = false;

  constructor(shards: number) {
    this.#shards = shards;
  }

  /** True where the cluster has a pod of KubeArmor, in any shard. */
  get hasPods(): boolean {
    return this.#nodes.size > 0;
  }

  async run(follow: FollowNodes, signal: AbortSignal): Promise<void> {
    const each = (node: string, call: (observer: NodeObserver) => void) => {
      const shard = pickIndex(node, this.#shards);
      for (const [observer, of] of this.#observers) if (of === shard) call(observer);
    };
    await follow(
      {
        onNode: (target) => {
          this.#nodes.set(target.uid, target);
          each(target.node, (observer) => observer.onNode(target));
        },
        onGone: (uid) => {
          const known = this.#nodes.get(uid);
          this.#nodes.delete(uid);
          if (known) each(known.node, (observer) => observer.onGone(uid));
        },
        onListed: () => {
          this.#isListed = true;
          for (const observer of this.#observers.keys()) observer.onListed();
        },
      },
      signal,
    );
  }

  /** Returns the list of one shard's pods. */
  ofShard(shard: number): FollowNodes {
    return async (observer, signal) => {
      if (signal.aborted) return;
      this.#observers.set(observer, shard);
      for (const target of this.#nodes.values())
        if (pickIndex(target.node, this.#shards) === shard) observer.onNode(target);
      if (this.#isListed) observer.onListed();
      await waitForAbort(signal);
      this.#observers.delete(observer);
    };
  }
}
