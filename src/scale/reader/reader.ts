// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A reader: reads the nodes of its shards and publishes the counts, once per fold interval.
//
//   shard held ── connected ──▶ counts are drained ── Lease lost ──▶ counts stay ── Lease regained ──▶ drained again
//                                                                        └── held by another ──▶ dropped: that one
//                                                                                                declares the gap
//
// Invariant: an alert is published by at most one reader. The holder of a shard declares the time from the last stored
// counts of the holder before it until its own streams are open.

import type { AlertSource } from "../../alerts/alert-source.ts";
import type { FollowNodes } from "../../alerts/node-source.ts";
import { IngestCounters, REJECTIONS } from "../../ingest/ingest-counters.ts";
import { type Clock, waitForAbort } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { runInTurns, type Steps } from "../../lib/pacing/steps.ts";
import { toEpochUs } from "../../lib/time.ts";
import type { HeldPart } from "../leases/lease-group.ts";
import { pickIndex } from "../leases/rendezvous.ts";
import { type DeltaContents, SKEW_US } from "../messages/delta.ts";
import type { Bus } from "../stream/bus.ts";
import { NodeFanOut } from "./node-fan-out.ts";
import { Publisher } from "./publisher.ts";
import { ShardCounts, type ShardCountsOptions } from "./shard-counts.ts";

export interface ReaderOptions extends ShardCountsOptions {
  shards: number;
  foldMs: number;
  /** For counts that are not stored at the end. */
  graceMs: number;
  processId: string;
}

export interface ShardSource extends AlertSource {
  readonly nodes: { desired: number; connected: number };
}

export interface ReaderParts {
  bus: Bus;
  clock: Clock;
  logger: Logger;
  /** Follows all pods of KubeArmor. */
  followNodes: FollowNodes;
  createSource: (follow: FollowNodes) => ShardSource;
}

/** Outcomes of alerts: `received` is the sum of the others. */
export type ReaderCounters = Pick<
  IngestCounters,
  "received" | "counted" | "duplicates" | "throttleNotices" | "shortened" | "rejected"
>;

/** Time between two looks at the stream. */
const CHECK_MS = 2_000;
/** Counts that are not stored for this long are missing in the reports. */
const LATE_MS = 15_000;
/** Report keys of which the partition is remembered. */
const MAX_KEYS = 50_000;

interface Shard {
  counts: ShardCounts;
  source: ShardSource;
  part: HeldPart;
  /** Since when every drain has included the shard; undefined while it is not held. Milliseconds since the epoch. */
  includedMs: number | undefined;
  /** True once the gap since the previous holder is declared. */
  isAnnounced: boolean;
  /** Everything counted before this time is stored. Milliseconds since the epoch. */
  storedUntilMs: number | undefined;
}

export class Reader {
  readonly publisher: Publisher;
  readonly #options: ReaderOptions;
  readonly #parts: ReaderParts;
  readonly #fanOut: NodeFanOut;
  readonly #shards = new Map<number, Shard>();
  readonly #partitionByKey = new Map<string, number>();
  readonly #ended: ReaderCounters = new IngestCounters();
  /** Time up to which a released shard is stored, for the last write of its Lease. */
  readonly #finals = new Map<number, number | undefined>();
  /** Alerts counted but dropped, because another reader holds their shard. */
  dropped = 0;

  constructor(options: ReaderOptions, parts: ReaderParts) {
    this.#options = options;
    this.#parts = parts;
    this.#fanOut = new NodeFanOut(options.shards);
    this.publisher = new Publisher({
      ...parts,
      partitions: options.partitions,
      processId: options.processId,
      shards: () =>
        [...this.#shards]
          .filter(([, { part }]) => part.isHeld())
          .map(([index, { counts, source }]) => counts.describe(index, source.nodes)),
    });
  }

  /** Nodes of the shards that this reader holds. */
  get nodes(): { desired: number; connected: number } {
    const sum = { desired: 0, connected: 0 };
    for (const { source } of this.#shards.values()) {
      sum.desired += source.nodes.desired;
      sum.connected += source.nodes.connected;
    }
    return sum;
  }

  /** True while a node is read, and where all nodes of the cluster are in other shards. */
  get isUp(): boolean {
    const { desired, connected } = this.nodes;
    return connected > 0 || (desired === 0 && this.#fanOut.hasPods);
  }

  /** Milliseconds since the epoch; 0 before the first alert. */
  get lastAlertMs(): number {
    return Math.max(0, ...[...this.#shards.values()].map(({ counts }) => counts.lastAlertMs));
  }

  /** Counted alerts that are not handed over to be published. */
  get pending(): number {
    return [...this.#shards.values()].reduce((sum, { counts }) => sum + counts.pending, 0);
  }

  /** Outcomes of alerts since the start. */
  get counters(): ReaderCounters {
    const sum = { ...this.#ended, rejected: { ...this.#ended.rejected } };
    for (const { counts } of this.#shards.values()) addCounters(sum, counts.counters);
    return sum;
  }

  /** Follows pods, and publishes until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([
      this.#fanOut.run(this.#parts.followNodes, signal),
      this.#publish(signal),
      this.#checkStream(signal),
    ]);
  }

  /** Reads a shard until it is lost or stopped. */
  async hold(part: HeldPart): Promise<void> {
    const { clock, createSource, logger } = this.#parts;
    const counts = new ShardCounts(this.#options, {
      clock,
      getPartition: (key) => this.#getPartition(key),
      onRejected: (reason, detail) => logger.debug({ reason, detail }, "alert rejected"),
    });
    const source = createSource(this.#fanOut.ofShard(part.index));
    const shard: Shard = { counts, source, part, includedMs: undefined, isAnnounced: false, storedUntilMs: undefined };
    counts.whenConnected(() => this.#announce(shard));
    this.#shards.set(part.index, shard);
    const end = new AbortController();
    const reading = source.run(counts, end.signal);
    const isKept = await waitUntilOver(part);
    end.abort();
    await reading;
    if (isKept && part.isHeld()) await this.#waitUntilStored(shard);
    this.#finals.set(part.index, this.storedUntilMs(part.index));
    this.dropped += counts.pending;
    addCounters(this.#ended, counts.counters);
    this.#shards.delete(part.index);
  }

  /** Everything of a shard that was counted before this time is stored; undefined where that is as before. */
  storedUntilMs(index: number): number | undefined {
    const shard = this.#shards.get(index);
    if (!shard) {
      const final = this.#finals.get(index);
      this.#finals.delete(index);
      return final;
    }
    const { storedUntilMs } = this.publisher;
    const isIncluded = shard.includedMs !== undefined && storedUntilMs >= shard.includedMs;
    if (isIncluded && shard.isAnnounced) shard.storedUntilMs = storedUntilMs;
    return shard.storedUntilMs;
  }

  /** Time since which alerts of a shard may be missing, or are counted and not published; milliseconds since the epoch. */
  missingSinceMs(index: number): number | undefined {
    const shard = this.#shards.get(index);
    if (!shard) return undefined;
    const { nodes } = shard.source;
    if (nodes.desired === 0) return undefined;
    const { storedUntilMs } = this.publisher;
    const isLate = this.#parts.clock.nowMs() - storedUntilMs > LATE_MS;
    return shard.counts.missingSinceMs ?? (isLate && storedUntilMs > 0 ? storedUntilMs : undefined);
  }

  /** Declares a stall of this process that just ended. */
  onEventLoopStall(ms: number): void {
    const fromUs = toEpochUs(this.#parts.clock.nowMs() - ms);
    for (const { counts, source } of this.#shards.values())
      if (counts.connectedMs !== undefined) counts.addGap({ kind: "Stalled", fromUs, nodes: source.nodes.desired });
  }

  /** Declares that the shard was not read since the holder before. */
  #announce(shard: Shard): void {
    const { counts, source, part } = shard;
    const untilMs = part.predecessor?.persistedUntilMs;
    const fromUs = untilMs === undefined ? null : toEpochUs(untilMs) - SKEW_US;
    const kind = untilMs === undefined ? "NotRunning" : "NodeDown";
    const { desired } = source.nodes;
    // A shard without a node has lost nothing.
    if (desired > 0) counts.addGap({ kind, fromUs, nodes: kind === "NodeDown" ? desired : 0 });
    shard.isAnnounced = true;
    // The notice goes with the next drain.
    shard.includedMs = undefined;
  }

  async #publish(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!signal.aborted) {
      await this.#drain();
      await clock.sleep(this.#options.foldMs, signal);
    }
  }

  /** Publishes one partition after the other: in between alerts are read. */
  async #drain(): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.nowMs();
    // Not later: a notice of a shard that is added meanwhile is in no message of the partitions before.
    for (const shard of this.#shards.values())
      shard.includedMs = shard.part.isHeld() ? (shard.includedMs ?? nowMs) : undefined;
    for (let partition = 0; partition < this.#options.partitions; partition++) {
      if (!this.publisher.isIdle(partition)) continue;
      await runInTurns(this.#drainPartition(partition), clock);
      await clock.turn();
    }
  }

  *#drainPartition(partition: number): Steps {
    const nowMs = this.#parts.clock.nowMs();
    const contents: DeltaContents = { reports: [], notices: [] };
    for (const shard of this.#shards.values()) {
      if (!shard.part.isHeld()) {
        shard.includedMs = undefined;
        continue;
      }
      const { reports, notices } = yield* shard.counts.drain(partition);
      contents.reports.push(...reports);
      contents.notices.push(...notices);
    }
    this.publisher.send(partition, contents, nowMs);
  }

  async #checkStream(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.publisher.checkStream();
      await this.#parts.clock.sleep(CHECK_MS, signal);
    }
  }

  async #waitUntilStored({ counts }: Shard): Promise<void> {
    const { clock } = this.#parts;
    const endedMs = clock.nowMs();
    const deadlineMs = clock.monotonicMs() + this.#options.graceMs;
    const isStored = () => counts.pending === 0 && this.publisher.storedUntilMs > endedMs;
    while (!isStored() && clock.monotonicMs() < deadlineMs) await clock.sleep(50);
  }

  #getPartition(key: string): number {
    const known = this.#partitionByKey.get(key);
    if (known !== undefined) return known;
    if (this.#partitionByKey.size >= MAX_KEYS) this.#partitionByKey.clear();
    const partition = pickIndex(key, this.#options.partitions);
    this.#partitionByKey.set(key, partition);
    return partition;
  }
}

/** Resolves when the part is stopped (true) or held by another (false). */
async function waitUntilOver({ stop, lost, regain }: HeldPart): Promise<boolean> {
  for (let term: AbortSignal | undefined = lost; term; term = await regain()) {
    await waitForAbort(AbortSignal.any([stop, term]));
    if (stop.aborted) return true;
  }
  return stop.aborted;
}

/** Adds the outcomes of a shard to those of its reader. */
function addCounters(sum: ReaderCounters, counters: ReaderCounters): void {
  sum.received += counters.received;
  sum.counted += counters.counted;
  sum.duplicates += counters.duplicates;
  sum.throttleNotices += counters.throttleNotices;
  sum.shortened += counters.shortened;
  for (const reason of REJECTIONS) sum.rejected[reason] += counters.rejected[reason];
}
