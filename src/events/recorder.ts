// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Paces Events: few enough for the API server, soon enough for a person, and every occurrence accounted for.
// Invariant: record() never waits and never throws; retries are bounded; every buffer is bounded.

import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { WorkLoop } from "../lib/pacing/work-loop.ts";
import { WorkQueue } from "../lib/pacing/work-queue.ts";
import { createEventCounters, type LossReason, type RecorderStats } from "./event-counters.ts";
import { type Deliverable, EventDelivery } from "./event-delivery.ts";
import { EventLimits, type PauseReason } from "./event-limits.ts";
import type { EventRecorder, EventResult, EventSink, EventUpdate } from "./event-recorder.ts";
import { createFailureLog } from "./failure-log.ts";
import type { RecorderOptions } from "./recorder-options.ts";
import {
  addOccurrence,
  countPending,
  createSeries,
  isDue,
  isOver,
  parseSeriesNamespace,
  recordSent,
  toSeriesKey,
} from "./series.ts";
import { SeriesKeys } from "./series-keys.ts";

/** Sweep over all series: heartbeats and ends. */
const TICK_MS = 1000;
const CONCURRENCY = 4;
/** Ranks of the queue: new Events before higher counts. */
const [CREATE, PATCH] = [0, 1];
const MAX_TRIES = 5;
/** Five tries take about 11 s: longer than a restart of an API server. */
const RETRY_BASE_MS = 1000;
/** A Retry-After stops all Events, so no answer may stop them for longer than this. */
const MAX_PAUSE_MS = 60_000;

/** A series with its place in the machine. */
interface Entry extends Deliverable {
  state: "idle" | "queued" | "sending";
  retry: RetryPolicy;
}

/** Runs from its creation until stop(). */
export class Recorder implements EventRecorder {
  readonly #options: RecorderOptions;
  readonly #clock: Clock;
  readonly #logFailure: ReturnType<typeof createFailureLog>;
  readonly #limits: EventLimits;
  readonly #delivery: EventDelivery;
  readonly #queue: WorkQueue;
  readonly #waiting = new SeriesKeys();
  readonly #kept = new SeriesKeys();
  readonly #loop: WorkLoop;
  /** In the order of their last occurrence, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #counters = createEventCounters();
  readonly #drained = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #closed = false;
  #cancelTick: (() => void) | undefined;

  constructor(options: RecorderOptions, sink: EventSink, clock: Clock, logger: Logger) {
    this.#options = options;
    this.#clock = clock;
    this.#logFailure = createFailureLog(clock, logger);
    this.#limits = new EventLimits(options.perRegarding, clock);
    this.#delivery = new EventDelivery(sink, clock);
    const pace = options.overall ?? { perSecond: 10, burst: 50 };
    this.#queue = new WorkQueue({ clock, ranks: 2, flow: parseSeriesNamespace });
    this.#loop = new WorkLoop({
      ...pace,
      queue: this.#queue,
      clock,
      concurrency: CONCURRENCY,
      process: (key) => this.#deliver(key),
    });
    this.#loop.start();
  }

  record(occurrence: EventUpdate): void {
    const count = Math.max(1, Math.floor(occurrence.count) || 1);
    const { lost, suppressed } = this.#counters;
    this.#counters.recorded += count;
    if (this.#stopping !== undefined) {
      lost.stopped += count;
      return;
    }
    if (occurrence.policy === DEFAULT_POSTURE && this.#options.defaultPosture !== true) {
      suppressed.default_posture += count;
      return;
    }
    const key = toSeriesKey(occurrence);
    const paused = this.#limits.findPauseReason(key);
    if (paused !== undefined) {
      lost[paused] += count;
      return;
    }
    const entry = this.#entries.get(key) ?? this.#begin(key, occurrence, count);
    if (entry === undefined) return;
    // Moves it to the end: the map's order is the order of the last occurrence.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#kept.add(key);
    addOccurrence(entry.series, occurrence, count, this.#clock.monotonicMs());
    this.#settle(entry);
    this.#armTick();
  }

  stats(): RecorderStats {
    const pending = this.#entries.values().reduce((sum, { series }) => sum + countPending(series), 0);
    const kept = { pending, series: this.#entries.size, queued: this.#queue.length };
    return { ...structuredClone(this.#counters), ...kept };
  }

  /**
   * Takes no more, sends pending updates for at most `withinMs` milliseconds, and counts the rest as lost. Never
   * rejects; later calls return the first one's promise.
   */
  stop(withinMs: number): Promise<void> {
    this.#stopping ??= this.#flush(withinMs);
    return this.#stopping;
  }

  async #flush(withinMs: number): Promise<void> {
    // Until the next turn stop() has noted that it was called, which #settle and #checkDrained ask for.
    await Promise.resolve();
    for (const entry of this.#entries.values()) this.#settle(entry);
    const cancelDeadline = this.#clock.after(withinMs, () => this.#drained.resolve());
    this.#checkDrained();
    await this.#drained.promise;
    cancelDeadline();
    this.#closed = true;
    this.#cancelTick?.();
    void this.#loop.stop();
    this.#delivery.abort();
    for (const entry of [...this.#entries.values()]) this.#drop(entry, "stopped");
  }

  /** Makes room for a new series; undefined when it may not begin (and its occurrences are accounted for). */
  #begin(key: string, occurrence: EventUpdate, count: number): Entry | undefined {
    if (!this.#limits.takeCreateToken(occurrence.regarding)) {
      this.#counters.suppressed.rate_limited += count;
      return undefined;
    }
    if (this.#queue.waitingIn(CREATE) >= (this.#options.maxQueued ?? 1000)) {
      const victim = this.#entries.get([...(this.#waiting.findLarger(key) ?? [])].at(-1) ?? "");
      if (victim) this.#drop(victim, "queue_full");
      else this.#counters.lost.queue_full += count;
      if (!victim) return undefined;
    }
    if (this.#entries.size >= (this.#options.maxSeries ?? 4096)) this.#evictFor(key);
    const series = createSeries(key, occurrence, this.#clock.monotonicMs());
    const retry = new RetryPolicy(this.#clock, { minMs: RETRY_BASE_MS });
    return { series, state: "idle", attempt: undefined, retry };
  }

  /** Evicts the oldest series of the namespace with the most. */
  #evictFor(key: string): void {
    const keys = this.#kept.findLarger(key) ?? this.#kept.listNeighbors(key) ?? this.#entries.keys();
    // The outcome of a request under way has still to be booked; there are never more than four.
    const oldest = [...keys].find((each) => this.#entries.get(each)?.state !== "sending");
    const entry = this.#entries.get(oldest ?? "");
    if (entry) this.#drop(entry, "evicted");
  }

  /** Queues the entry if it is idle and its next word is due, or if this is the last chance for it. */
  #settle(entry: Entry): void {
    if (entry.state !== "idle") return;
    const lastChance = this.#stopping !== undefined && countPending(entry.series) > 0;
    if (lastChance || isDue(entry.series, this.#clock.monotonicMs())) this.#enqueue(entry);
  }

  #enqueue(entry: Entry, delayMs = 0): void {
    const { series } = entry;
    entry.state = "queued";
    if (series.event === undefined) this.#waiting.add(series.key);
    this.#queue.requeueAfter(series.key, series.event === undefined ? CREATE : PATCH, delayMs);
  }

  async #deliver(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.state = "sending";
    this.#waiting.delete(key);
    const result = await this.#delivery.deliver(entry);
    // After the deadline everything pending has been counted as lost; it can't be counted again.
    if (this.#closed) return;
    entry.state = "idle";
    this.#recordResult(entry, result);
  }

  #recordResult(entry: Entry, result: EventResult): void {
    switch (result.kind) {
      case "sent":
        this.#recordPersisted(entry);
        break;
      case "gone":
        this.#createAgain(entry);
        break;
      case "namespace_gone":
        this.#pause(entry, "pod_gone");
        break;
      case "refused":
        this.#logFailure(entry.series.occurrence, result.message);
        this.#pause(entry, "refused");
        break;
      case "retry":
        this.#retry(entry, result);
        break;
    }
    this.#checkDrained();
  }

  #recordPersisted(entry: Entry): void {
    const { attempt, series } = entry;
    if (attempt === undefined) return;
    if (attempt.kind === "create") this.#counters.sent.created += 1;
    else this.#counters.sent.patched += 1;
    this.#counters.reported += recordSent(series, attempt, this.#clock.monotonicMs());
    entry.attempt = undefined;
    entry.retry.reset();
    this.#settle(entry);
  }

  /** Creates the Event again after it was deleted or its time to live ran out; it carries the whole count. */
  #createAgain(entry: Entry): void {
    entry.attempt = undefined;
    entry.series.event = undefined;
    if (this.#limits.takeCreateToken(entry.series.occurrence.regarding)) {
      this.#enqueue(entry);
      return;
    }
    this.#counters.suppressed.rate_limited += countPending(entry.series);
    this.#forget(entry);
  }

  #retry(entry: Entry, result: { message: string; retryAfterMs?: number }): void {
    if (result.retryAfterMs !== undefined) {
      this.#loop.pause(Math.min(MAX_PAUSE_MS, result.retryAfterMs));
    }
    const delayMs = entry.retry.nextMs();
    if (entry.retry.failures >= MAX_TRIES) {
      this.#logFailure(entry.series.occurrence, result.message);
      this.#pause(entry, "retries_exhausted");
      return;
    }
    this.#counters.retries += 1;
    this.#enqueue(entry, delayMs);
  }

  #pause(entry: Entry, reason: PauseReason): void {
    this.#limits.pause(entry.series.key, reason);
    this.#drop(entry, reason);
  }

  #drop(entry: Entry, reason: LossReason): void {
    this.#counters.lost[reason] += countPending(entry.series);
    this.#forget(entry);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.series.key);
    this.#queue.forget(entry.series.key);
    this.#waiting.delete(entry.series.key);
    this.#kept.delete(entry.series.key);
  }

  #armTick(): void {
    this.#cancelTick ??= this.#clock.after(TICK_MS, () => {
      this.#cancelTick = undefined;
      this.#tick();
    });
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const entry of this.#entries.values()) {
      if (entry.state === "idle" && isOver(entry.series, nowMs)) this.#forget(entry);
      else this.#settle(entry);
    }
    if (this.#entries.size > 0) this.#armTick();
  }

  #checkDrained(): void {
    if (this.#stopping === undefined) return;
    for (const entry of this.#entries.values()) if (entry.state !== "idle") return;
    this.#drained.resolve();
  }
}
