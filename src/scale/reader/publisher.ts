// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Publishes counts to the partitions: one message at a time for each, again until it is stored.
// Invariant: a message that may have been stored is sent again unchanged, and only to the stream for which it was built.
// What was handed over is published once, or declared as lost.

import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { RetryPolicy } from "../../lib/pacing/retry-policy.ts";
import { runInTurns } from "../../lib/pacing/steps.ts";
import { toEpochUs } from "../../lib/time.ts";
import {
  countOccurrences,
  type Delta,
  type DeltaContents,
  type Notice,
  type ShardState,
  SKEW_US,
} from "../messages/delta.ts";
import { encodeDelta } from "../messages/delta-codec.ts";
import { packReports } from "../messages/delta-split.ts";
import { type Bus, isBusError, type StoreResult } from "../stream/bus.ts";

export interface PublisherParts {
  bus: Bus;
  clock: Clock;
  logger: Logger;
  partitions: number;
  /** Names this process, unlike any other that ever ran. */
  processId: string;
  /** Shards that this process holds. */
  shards: () => ShardState[];
}

/** Target size of a message; a server takes 1 MiB by default. */
const MESSAGE_BYTES = 256 * 1024;
/** A partition without counts gets a message after this time, so that a loss is noticed. */
const HEARTBEAT_MS = 30_000;

type StoredAnswer = Extract<StoreResult, { kind: "stored" }>;

/** Time at which counts were drained, and the shards at that moment. */
interface DrainTime {
  nowMs: number;
  shards: ShardState[];
}

interface Lane {
  seq: number;
  cumulative: number;
  /** True while messages of an earlier call are not stored. */
  isBusy: boolean;
  sentMs: number;
  /** Everything that was handed over before this time is stored. Milliseconds since the epoch; 0 for none. */
  storedUntilMs: number;
  /** Notices to be sent with the next message. */
  notices: Notice[];
}

export class Publisher {
  readonly #parts: PublisherParts;
  readonly #lanes: Lane[];
  readonly #closed = new AbortController();
  #stream: string | undefined;
  /** Reason for which the stream can't be used; undefined while it can. */
  #problem: string | undefined;
  #generation = 0;
  /** Newest sequence that the stream is known to have given. */
  #lastSeq = 0;
  /** True where the stream gave a known sequence again: it lost messages and got others before a check. */
  #hasGoneBack = false;
  /** Newest message that each connection stored, until it is known that the next one still has it. */
  readonly #newest = new Map<number, { seq: number; id: string }>();
  /** Counters since the start. */
  messages = 0;
  retries = 0;
  lost = 0;
  published = 0;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
    this.#lanes = Array.from({ length: parts.partitions }, createLane);
  }

  /** True where the partition takes more now. */
  isIdle(partition: number): boolean {
    return !this.#getLane(partition).isBusy && this.#stream !== undefined;
  }

  /** Everything handed over before this time is stored; 0 before the first message. */
  get storedUntilMs(): number {
    return Math.min(...this.#lanes.map(({ storedUntilMs }) => storedUntilMs));
  }

  /** Takes counts that were drained at `nowMs` for an idle partition; empty contents say that there are none. */
  send(partition: number, { reports, notices }: DeltaContents, nowMs: number): void {
    const lane = this.#getLane(partition);
    const hasContents = reports.length + notices.length + lane.notices.length > 0;
    if (!hasContents && nowMs - lane.sentMs < HEARTBEAT_MS) {
      lane.storedUntilMs = nowMs;
      return;
    }
    lane.isBusy = true;
    lane.sentMs = nowMs;
    const time = { nowMs, shards: this.#parts.shards() };
    void this.#sendAll(partition, lane, { reports, notices }, time).finally(() => {
      lane.isBusy = false;
    });
  }

  /** Opens the stream, and notices when it was replaced. Retried by the next call. */
  async checkStream(): Promise<void> {
    const knownSeq = this.#lastSeq;
    try {
      const { id, lastSeq } = await this.#parts.bus.open();
      if (id !== this.#stream) this.#begin(id);
      else if (lastSeq < knownSeq) await this.#renew(knownSeq);
      else if (this.#hasGoneBack || (await this.#isReplaced())) await this.#renew(Number.POSITIVE_INFINITY);
      // Includes messages of other readers.
      else this.#lastSeq = Math.max(this.#lastSeq, lastSeq);
      this.#problem = undefined;
    } catch (error) {
      if (!isBusError(error)) throw error;
      if (this.#problem !== error.message)
        this.#parts.logger.error({ answer: error.message }, "stream not available, keeping counts");
      this.#problem = error.message;
    }
  }

  /** Waits until all is stored, or the signal aborts; then nothing more is sent. */
  async close(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (!signal.aborted && this.#lanes.some(({ isBusy }) => isBusy)) await clock.sleep(20, signal);
    this.#closed.abort();
  }

  #begin(stream: string): void {
    if (this.#stream !== undefined) this.#parts.logger.warn({ stream }, "stream was recreated");
    this.#stream = stream;
    this.#generation++;
    this.#lastSeq = 0;
    this.#hasGoneBack = false;
    this.#newest.clear();
    for (const lane of this.#lanes) {
      lane.seq = 0;
      lane.cumulative = 0;
    }
  }

  /** True where a message that an earlier connection stored has lost its sequence to one of another reader. */
  async #isReplaced(): Promise<boolean> {
    const { bus } = this.#parts;
    for (const [connection, { seq, id }] of this.#newest) {
      if (connection === bus.connections) continue;
      if (await bus.isReplaced(seq, id)) return true;
      this.#newest.delete(connection);
    }
    return false;
  }

  async #renew(knownSeq: number): Promise<void> {
    const { bus, clock, logger } = this.#parts;
    const lastSeq = this.#lastSeq;
    if (!(await bus.renew(knownSeq, `${clock.nowMs()}`))) return;
    logger.error({ lastSeq }, "stream lost stored messages");
    const { id } = await bus.open();
    if (id !== this.#stream) this.#begin(id);
  }

  async #sendAll(partition: number, lane: Lane, contents: DeltaContents, time: DrainTime): Promise<void> {
    const groups = await runInTurns(packReports(contents.reports, MESSAGE_BYTES), this.#parts.clock);
    lane.notices.push(...contents.notices);
    for (const reports of groups) {
      if (this.#closed.signal.aborted) return;
      // Notices concern the reports of all groups.
      const notices = reports === groups.at(-1) ? lane.notices.splice(0) : [];
      await this.#sendOne(partition, lane, { reports, notices }, time);
      // Alerts do not wait for a large message.
      await this.#parts.clock.turn();
    }
    if (!this.#closed.signal.aborted) lane.storedUntilMs = time.nowMs;
  }

  async #sendOne(
    partition: number,
    lane: Lane,
    { reports, notices }: DeltaContents,
    { nowMs, shards }: DrainTime,
  ): Promise<void> {
    const { bus, clock, processId } = this.#parts;
    const occurrences = countOccurrences(reports);
    const stream = this.#stream ?? "";
    const source = `${processId}.${this.#generation}`;
    lane.seq++;
    lane.cumulative += occurrences;
    const { seq, cumulative } = lane;
    const untilUs = toEpochUs(nowMs);
    const id = `${source}.${partition}.${seq}`;
    const delta: Delta = { stream, source, seq, cumulative, untilUs, shards, reports, notices };
    const bytes = encodeDelta(delta);
    const retry = new RetryPolicy(clock);
    while (!this.#closed.signal.aborted) {
      const knownSeq = this.#lastSeq;
      const result = await bus.publish(partition, id, bytes);
      if (result.kind === "stored") {
        if (this.#stream === stream) this.#noteStored(result, id, knownSeq);
        this.#countStored(result, occurrences);
        return;
      }
      this.retries++;
      await clock.sleep(retry.nextMs(0), this.#closed.signal);
      if (this.#stream === stream) continue;
      // It is unknown if the earlier stream had it.
      lane.notices.push(...notices, ...declareLost(occurrences, lane.storedUntilMs, nowMs));
      this.lost += occurrences;
      return;
    }
  }

  /** `knownSeq` is the newest sequence that was known before the message was sent. */
  #noteStored({ seq, isRepeat }: StoredAnswer, id: string, knownSeq: number): void {
    if (!isRepeat && seq <= knownSeq) this.#hasGoneBack = true;
    const { connections } = this.#parts.bus;
    if (seq > (this.#newest.get(connections)?.seq ?? 0)) this.#newest.set(connections, { seq, id });
  }

  #countStored({ seq }: StoredAnswer, occurrences: number): void {
    this.messages++;
    this.published += occurrences;
    // Lanes may hear of their messages out of order; a server that has lost messages gives numbers again.
    this.#lastSeq = Math.max(this.#lastSeq, seq);
  }

  #getLane(partition: number): Lane {
    return this.#lanes[partition] as Lane;
  }
}

function createLane(): Lane {
  return { seq: 0, cumulative: 0, isBusy: false, sentMs: 0, storedUntilMs: 0, notices: [] };
}

function declareLost(count: number, fromMs: number, toMs: number): Notice[] {
  if (count === 0) return [];
  const [fromUs, toUs] = [Math.max(0, toEpochUs(fromMs) - SKEW_US), toEpochUs(toMs)];
  return [{ type: "gap", kind: "TransportLost", fromUs, toUs, nodes: 0, count }];
}
