// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Shards of nodes as the owner of a partition knows them from messages: which nodes are read, and since when all are.
// Invariant: pure and deterministic. The same messages after the same snapshot give the same answers.

import type { EpochUs } from "../../lib/time.ts";
import type { KnownShard, ShardsSnapshot } from "./checkpoint.ts";
import type { GapNotice, ShardState } from "./delta.ts";

/** Gaps that are remembered for reports that begin later: as many as one lists. */
const MAX_GAPS = 10;

export class ShardTracker {
  readonly #shards: Map<number, KnownShard>;
  #wholeSinceUs: EpochUs;
  #gaps: readonly GapNotice[];

  constructor({ shards, wholeSinceUs, gaps = [] }: ShardsSnapshot) {
    this.#shards = new Map(shards.map((shard) => [shard.index, shard]));
    this.#wholeSinceUs = wholeSinceUs;
    this.#gaps = gaps;
  }

  /** Notes the shards of a message. Returns the beginnings of gaps that end with it. */
  update(states: readonly ShardState[], message: Pick<KnownShard, "source" | "atMs" | "untilUs">): EpochUs[] {
    const ended: EpochUs[] = [];
    for (const state of states) {
      const known = this.#shards.get(state.index);
      // A message of the holder before that was stored late.
      if (known && known.source !== message.source && known.untilUs > message.untilUs) continue;
      const fromUs = known?.missingSinceUs ?? null;
      if (fromUs !== null && fromUs !== state.missingSinceUs) ended.push(fromUs);
      this.#shards.set(state.index, { ...state, ...message });
    }
    return ended;
  }

  /** Notes a gap in the reports, unless it lasts. */
  onGap(gap: GapNotice): void {
    if (gap.toUs === null) return;
    this.#wholeSinceUs = Math.max(this.#wholeSinceUs, gap.toUs);
    this.#gaps = [...this.#gaps, gap].slice(-MAX_GAPS);
  }

  /** Gaps that ended after this time: a report with earlier alerts may lack some, also where it begins later. */
  listEndedAfter(us: EpochUs): readonly GapNotice[] {
    return this.#gaps.filter(({ toUs }) => toUs !== null && toUs > us);
  }

  /** Beginnings of the gaps that last. */
  get open(): EpochUs[] {
    return [...this.#shards.values()].flatMap(({ missingSinceUs }) => missingSinceUs ?? []);
  }

  /** Time since which all `count` shards have been read without a gap; undefined where one has not, since `sinceMs`. */
  wholeSinceUs(count: number, sinceMs: number): EpochUs | undefined {
    for (let index = 0; index < count; index++) {
      const known = this.#shards.get(index);
      if (!known || known.atMs < sinceMs || known.missingSinceUs !== null) return undefined;
    }
    return this.#wholeSinceUs;
  }

  /** Sum over shards with a message since `sinceMs`. */
  nodes(sinceMs: number): { desired: number; connected: number } {
    const sum = { desired: 0, connected: 0 };
    for (const { atMs, desired, connected } of this.#shards.values()) {
      if (atMs < sinceMs) continue;
      sum.desired += desired;
      sum.connected += connected;
    }
    return sum;
  }

  /** Copy that a later owner continues from. */
  snapshot(): ShardsSnapshot {
    return { shards: [...this.#shards.values()], wholeSinceUs: this.#wholeSinceUs, gaps: this.#gaps };
  }
}
