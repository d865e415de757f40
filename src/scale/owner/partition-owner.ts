// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The owner of one partition: adds the messages of readers to the ledgers of its reports and writes these.
//
//   load (reports, checkpoint) ──▶ catch up with the stream ──▶ write ──▶ stop: flush
//        ▲                                                        │
//        └── another owner wrote, the stream changed, or failed ◀─┘  all counts in memory are dropped
//
// Invariant: a report's counts and the position in the stream are in one write. What is in memory can be dropped at any
// time: the stream and the stored reports have it all.

import type { Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { VIOLATIONS_PER_STEP } from "../../leadership/report-loader.ts";
import { RetryPolicy } from "../../lib/pacing/retry-policy.ts";
import { createSpend, runInTurns } from "../../lib/pacing/steps.ts";
import { type EpochUs, parseMicroTime, toEpochUs } from "../../lib/time.ts";
import { findPersistedSeq } from "../../reconcile/marks.ts";
import { SinkError } from "../../sinks/report-sink.ts";
import type { HeldPart } from "../leases/lease-group.ts";
import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../messages/checkpoint.ts";
import { SKEW_US } from "../messages/delta.ts";
import { BusError, isBusError, type StreamFacts } from "../stream/bus.ts";
import { declareGap, LOSS } from "./gap-notice.ts";
import { isOfOtherStream, listMoved } from "./moved-marks.ts";
import type { OwnerOptions, OwnerParts, PartitionLife } from "./owner-parts.ts";
import { beginLife, toMovedKey } from "./partition-life.ts";
import type { PartitionCounters } from "./partition-state.ts";
import { RecentPositions } from "./recent-positions.ts";

/** Milliseconds between two checks of the stream and of due checkpoints. */
const CHECK_MS = 2_000;
/** Between two checkpoints without a new position: they expire with the stream's messages. */
const REPEAT_CHECKPOINT_MS = 30_000;
export class PartitionOwner {
  readonly #partition: number;
  readonly #options: OwnerOptions;
  readonly #parts: OwnerParts;
  readonly #counters: PartitionCounters;
  /** Last writes by uid of the report, for a person may remove the annotation. */
  readonly #written = new RecentPositions<{ stream: string; position: number }>();
  /** Time at which this process began to own the partition; milliseconds since the epoch. */
  readonly beganMs: number;
  /** Undefined while nothing is loaded. */
  life: PartitionLife | undefined;
  /** Reason for which the partition is not written; undefined while it is. */
  problem: string | undefined = "not yet loaded";

  constructor(partition: number, options: OwnerOptions, parts: OwnerParts, counters: PartitionCounters) {
    this.#partition = partition;
    this.#options = options;
    this.#parts = parts;
    this.#counters = counters;
    this.beganMs = parts.clock.nowMs();
  }

  async run({ stop, lost, isHeld }: HeldPart): Promise<void> {
    const { clock, logger } = this.#parts;
    const over = AbortSignal.any([stop, lost]);
    const retry = new RetryPolicy(clock);
    while (!over.aborted) {
      try {
        await this.#live(over, isHeld, () => retry.reset());
      } catch (error) {
        if (!(isBusError(error) || error instanceof SinkError)) throw error;
        if (over.aborted) break;
        if (this.problem !== error.message)
          logger.error({ partition: this.#partition, answer: error.message }, "partition not read, retrying");
        this.problem = error.message;
      } finally {
        await this.#finish(stop, isHeld);
      }
      if (!over.aborted) await clock.sleep(retry.nextMs(), over);
    }
  }

  async #live(over: AbortSignal, isHeld: () => boolean, onCaughtUp: () => void): Promise<void> {
    const { bus, logger } = this.#parts;
    const facts = await bus.open();
    const { byPartition, withMoved } = await this.#parts.listReports(over);
    const stored = byPartition.get(this.#partition) ?? [];
    const found = await this.#readCheckpoint(facts.id);
    const checkpoint = found ?? createCheckpoint(facts, this.#parts.clock.nowMs());
    const marks = new Map(
      stored.map((report) => [
        reportKey(report.metadata.namespace, report.policy.name),
        this.#findMark(report, facts.id),
      ]),
    );
    const partition = { index: this.#partition, count: this.#parts.partitions };
    for (const [key, position] of withMoved.flatMap((report) => listMoved(report, facts.id, partition)))
      marks.set(key, Math.max(position, marks.get(key) ?? 0));
    const newest = Math.max(checkpoint.position, ...marks.values());
    const last = await this.#findLast(newest);
    const life = beginLife({
      partition: this.#partition,
      options: this.#options,
      parts: this.#parts,
      counters: this.#counters,
      stream: facts.id,
      checkpoint,
      sinceUs: this.#findSinceUs(stored, facts),
      marks,
      moved: withMoved.map(({ policy }) => policy.name),
      isHeld,
      onPosition: (uid, position) => this.#written.set(uid, { stream: facts.id, position }),
    });
    over.addEventListener("abort", () => life.end.abort(), { once: true });
    if (over.aborted) life.end.abort();
    this.life = life;
    await this.#adopt(life, stored, facts.id);
    if (life.end.signal.aborted) return;
    // Without a checkpoint each report holds what its mark says, and no more; without a mark nothing of the stream.
    const held = [...marks.values()].filter((mark) => mark > 0);
    const heldSeq = found?.position ?? (held.length > 0 ? Math.min(...held) : facts.startSeq);
    if (facts.firstSeq > heldSeq + 1) life.state.declareLoss(this.#parts.clock.nowMs());
    for (const [key, ledger] of life.aggregator.ledgers) if (ledger.write.isNeeded) life.queue.add(key, "coverage");
    const fields = { partition: this.#partition, reports: stored.length, position: checkpoint.position };
    logger.info(fields, "partition loaded");
    const startIfCaughtUp = () => {
      if (life.isWriting || life.state.position < last) return;
      // Every later message is beyond each mark.
      life.state.skipTo(newest);
      life.state.endUnknownGaps(this.#parts.clock.nowMs());
      life.isWriting = true;
      life.controller.start();
      this.problem = undefined;
      this.#parts.onLoaded?.();
      onCaughtUp();
    };
    startIfCaughtUp();
    const checking = this.#check(life);
    await this.#consume(life, startIfCaughtUp);
    await checking;
  }

  /** Sequence of the newest message; 0 where those up to `newest`, which reports hold, were removed by their age. */
  async #findLast(newest: number): Promise<number> {
    const { bus, clock } = this.#parts;
    const last = (await bus.last(this.#partition))?.seq ?? 0;
    if (last >= newest) return last;
    if (await bus.renew(newest, `${clock.nowMs()}`))
      throw new BusError("the stream has lost messages that it had stored: it gets a new identity");
    // By now the server knows them.
    return (await bus.last(this.#partition))?.seq ?? 0;
  }

  /** Adds messages until the life ends; after a failure of the server from where it was. */
  async #consume(life: PartitionLife, onAdded: () => void): Promise<void> {
    const { bus, clock } = this.#parts;
    const { signal } = life.end;
    const retry = new RetryPolicy(clock);
    while (!signal.aborted) {
      try {
        const { id } = await bus.open();
        if (id !== life.stream) life.end.abort();
        await bus.consume(
          this.#partition,
          life.state.position + 1,
          (message) => {
            if (signal.aborted) return;
            retry.reset();
            life.state.apply(message);
            onAdded();
          },
          signal,
        );
      } catch (error) {
        if (!isBusError(error)) throw error;
        this.problem = error.message;
        await clock.sleep(retry.nextMs(), signal);
      }
    }
  }

  /** Continues the stored reports; a large one does not hold up other partitions. */
  async #adopt(life: PartitionLife, stored: readonly Report[], stream: string): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.nowMs();
    const spend = createSpend(clock, VIOLATIONS_PER_STEP);
    for (const report of stored) {
      const ledger = life.aggregator.ledger(report.metadata.namespace, report.policy.name);
      await runInTurns(life.controller.adopt(ledger, report, []), clock);
      await spend(1 + report.violations.length);
      if (!isOfOtherStream(report.metadata, stream)) continue;
      // Messages for this report in the earlier stream can't be read any more.
      declareGap(ledger, { ...LOSS, fromUs: null, toUs: toEpochUs(nowMs) }, ledger.counts.all.lastUs);
      ledger.write.touch();
    }
  }

  /** Time of the newest alert of the report that was written the longest ago; of no alert, that of the stream. */
  #findSinceUs(stored: readonly Report[], { id, createdMs }: StreamFacts): EpochUs {
    const marked = stored.map((report) => ({ mark: this.#findMark(report, id), lastSeen: report.summary?.lastSeen }));
    const [oldest] = marked.filter(({ mark }) => mark > 0).sort((a, b) => a.mark - b.mark);
    return Math.max(0, (parseMicroTime(oldest?.lastSeen ?? "") ?? toEpochUs(createdMs)) - SKEW_US);
  }

  /** The position that a report holds; of a report without its annotation, the position of the last write here. */
  #findMark({ metadata }: Report, stream: string): number {
    const mark = findPersistedSeq(metadata, stream);
    const written = this.#written.get(metadata.uid ?? "");
    return mark > 0 || written?.stream !== stream ? mark : written.position;
  }

  async #readCheckpoint(stream: string): Promise<Checkpoint | undefined> {
    const found = await this.#parts.bus.readCheckpoint(this.#partition);
    return decodeCheckpoint(found?.bytes, stream);
  }

  /** Watches the stream, and stores checkpoints, until the life ends. */
  async #check(life: PartitionLife): Promise<void> {
    const { bus, clock, logger } = this.#parts;
    const { signal } = life.end;
    let storedMs = clock.monotonicMs();
    let position = 0;
    while (!signal.aborted) {
      await clock.sleep(CHECK_MS, signal);
      if (signal.aborted) return;
      const before = life.state.position;
      try {
        const { id, lastSeq } = await bus.open();
        if (id !== life.stream || lastSeq < before) {
          logger.warn({ partition: this.#partition }, "stream recreated or truncated, loading again");
          life.end.abort();
        }
      } catch (error) {
        if (!isBusError(error)) throw error;
        this.problem = error.message;
        continue;
      }
      if (life.isWriting) this.problem = undefined;
      if (!life.isWriting || signal.aborted) continue;
      const isDue = clock.monotonicMs() - storedMs > REPEAT_CHECKPOINT_MS;
      const done = this.#takeCheckpoint(life, position, isDue);
      if (!done) continue;
      storedMs = clock.monotonicMs();
      position = done.position;
      const { kind } = await bus.writeCheckpoint(this.#partition, encodeCheckpoint(done, life.stream));
      if (kind === "stored") life.moved.checkpointed = done.position;
    }
  }

  #takeCheckpoint(life: PartitionLife, position: number, isDue: boolean): Checkpoint | undefined {
    const { aggregator, checkpoints, moved, state } = life;
    const movedKeys = new Set([...moved.pending].map(toMovedKey));
    const isPending = (key: string) => {
      const ledger = aggregator.ledgers.get(key);
      return movedKeys.has(key) || (ledger !== undefined && (ledger.write.isNeeded || ledger.write.isInFlight));
    };
    if (!checkpoints.isWaiting) {
      if (state.position === position && !isDue) return undefined;
      checkpoints.begin(state.snapshot(), [...aggregator.ledgers.keys(), ...movedKeys].filter(isPending));
    }
    return checkpoints.take(isPending);
  }

  /** Ends a life: pending counts are written on an orderly stop, and dropped otherwise. */
  async #finish(stop: AbortSignal, isHeld: () => boolean): Promise<void> {
    const { life } = this;
    if (!life) return;
    const { clock, bus } = this.#parts;
    life.end.abort();
    life.stopSweeps();
    if (stop.aborted && isHeld() && life.isWriting) {
      const limit = new AbortController();
      const cancel = clock.after(this.#options.graceMs, () => limit.abort());
      await life.controller.flush(limit.signal);
      await life.moved.flush(limit.signal);
      cancel();
      const done = this.#takeCheckpoint(life, -1, true);
      if (done) await bus.writeCheckpoint(this.#partition, encodeCheckpoint(done, life.stream));
    }
    await life.controller.suspend();
    this.#parts.onEnded(life);
    this.life = undefined;
    this.problem ??= "loading";
  }
}

/** Checkpoint to begin with where the stream has none. */
function createCheckpoint({ startSeq, firstSeq }: StreamFacts, nowMs: number): Checkpoint {
  const position = Math.max(startSeq, firstSeq - 1);
  return { position, sources: {}, shards: [], wholeSinceUs: toEpochUs(nowMs) };
}
