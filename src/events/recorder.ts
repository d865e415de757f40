// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Paces Events: few enough for the API server, soon enough for a person, and every occurrence accounted for.
// Invariant: record() never waits and never throws; retries are bounded; every buffer is bounded.

import { LRUCache } from "lru-cache";
import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { TokenBucket } from "../lib/token-bucket.ts";
import { WorkLoop } from "../lib/work-loop.ts";
import { WorkQueue } from "../lib/work-queue.ts";
import { createEventCounters, type LossReason, type RecorderStats } from "./event-counters.ts";
import type { EventRecorder, EventResult, EventSink, EventUpdate } from "./event-recorder.ts";
import {
  addOccurrence,
  countPending,
  createAttempt,
  createSeries,
  isDue,
  isOver,
  parseSeriesNamespace,
  recordSent,
  type Series,
  type SeriesAttempt,
  startOver,
  toSeriesKey,
} from "./series.ts";
import { UidCache } from "./uid-cache.ts";

export interface RecorderOptions {
  /** Enables Events for occurrences of KubeArmor's default posture; default false. */
  defaultPosture?: boolean;
  /** Series kept; beyond it the one that was silent the longest goes. Default 4,096. */
  maxSeries?: number;
  /** Events that wait to be created; default 1,000. Patches need no room: a series waits at most once. */
  maxQueued?: number;
  /**
   * Creates and patches together; default 10/s, burst 50. Look-ups of uids are extra: at most one per request, in
   * practice one a minute for each pod with pending updates.
   */
  overall?: { perSecond: number; burst: number };
  /** New Events of one pod or node; default one per 30 s, burst 25. Patches are bounded by the series' own pace. */
  perRegarding?: { perSecond: number; burst: number };
}

export interface RunningRecorder extends EventRecorder {
  stats(): RecorderStats;
  /**
   * Takes no more, sends pending updates for at most `withinMs` milliseconds, and counts the rest as lost. Never
   * rejects; later calls return the first one's promise.
   */
  stop(withinMs: number): Promise<void>;
}

/** A look over all series: heartbeats, retries and what is over. */
const TICK_MS = 1000;
const CONCURRENCY = 4;
/** Ranks of the queue: new Events before higher counts. */
const [CREATE, PATCH] = [0, 1];
const MAX_TRIES = 5;
const BACKOFF_BASE_MS = 1000;
const BACKOFF_MAX_MS = 15_000;
/** A Retry-After stops all Events, so no answer may stop them for longer than this. */
const MAX_PAUSE_MS = 60_000;
const WARN_INTERVAL_MS = 60_000;
/** For how long the further occurrences of a series that failed are lost without a request. */
const MUTE_MS = { pod_gone: 10_000, retries_exhausted: 30_000, refused: 60_000 };

/** A series with its place in the machine. */
interface Entry {
  series: Series;
  state: "idle" | "queued" | "sending" | "backoff";
  attempt: SeriesAttempt | undefined;
  tries: number;
  retryAtMs: number;
}

/** Starts the recorder; it runs until stop(). */
export function startRecorder(
  options: RecorderOptions,
  sink: EventSink,
  clock: Clock,
  logger: Logger,
): RunningRecorder {
  return new Recorder(options, sink, clock, logger);
}

class Recorder implements RunningRecorder {
  readonly #options: RecorderOptions;
  readonly #sink: EventSink;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #uids: UidCache;
  readonly #queue: WorkQueue;
  readonly #loop: WorkLoop;
  /** In the order of their last occurrence, the oldest first. */
  readonly #entries = new Map<string, Entry>();
  readonly #muted: LRUCache<string, LossReason>;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: 4096 });
  readonly #counters = createEventCounters();
  readonly #aborter = new AbortController();
  readonly #drained = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;
  #closed = false;
  #cancelTick: (() => void) | undefined;
  #lastWarnMs = Number.NEGATIVE_INFINITY;

  constructor(options: RecorderOptions, sink: EventSink, clock: Clock, logger: Logger) {
    this.#options = options;
    this.#sink = sink;
    this.#clock = clock;
    this.#logger = logger;
    this.#uids = new UidCache(sink, clock);
    this.#muted = new LRUCache({ max: 4096, perf: { now: () => clock.monotonicMs() }, ttlResolution: 0 });
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
    const muted = this.#muted.get(key);
    if (muted !== undefined) {
      lost[muted] += count;
      return;
    }
    const entry = this.#entries.get(key) ?? this.#begin(key, occurrence, count);
    if (entry === undefined) return;
    // Moves it to the end: the map's order is the order of the last occurrence.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    addOccurrence(entry.series, occurrence, count, this.#clock.monotonicMs());
    this.#settle(entry);
    this.#armTick();
  }

  stats(): RecorderStats {
    const { suppressed, lost, sent, ...counters } = this.#counters;
    let pending = 0;
    for (const { series } of this.#entries.values()) pending += countPending(series);
    return {
      ...counters,
      pending,
      suppressed: { ...suppressed },
      lost: { ...lost },
      sent: { ...sent },
      series: this.#entries.size,
      queued: this.#queue.length,
    };
  }

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
    this.#aborter.abort();
    for (const entry of [...this.#entries.values()]) this.#drop(entry, "stopped");
  }

  /** Makes room for a new series; undefined when it may not begin (and its occurrences are accounted for). */
  #begin(key: string, occurrence: EventUpdate, count: number): Entry | undefined {
    if (!this.#takeCreateToken(occurrence)) {
      this.#counters.suppressed.rate_limited += count;
      return undefined;
    }
    if (this.#queue.waitingIn(CREATE) >= (this.#options.maxQueued ?? 1000)) {
      this.#counters.lost.queue_full += count;
      return undefined;
    }
    if (this.#entries.size >= (this.#options.maxSeries ?? 4096)) this.#evictOldest();
    const series = createSeries(key, occurrence, this.#clock.monotonicMs());
    return { series, state: "idle", attempt: undefined, tries: 0, retryAtMs: 0 };
  }

  #evictOldest(): void {
    for (const entry of this.#entries.values()) {
      // The outcome of a request under way has still to be booked; there are never more than four.
      if (entry.state === "sending") continue;
      this.#drop(entry, "evicted");
      return;
    }
  }

  #takeCreateToken({ regarding }: EventUpdate): boolean {
    const key = JSON.stringify([regarding.kind === "Node" ? "" : regarding.namespace, regarding.name]);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const { perSecond, burst } = this.#options.perRegarding ?? { perSecond: 1 / 30, burst: 25 };
      bucket = new TokenBucket(perSecond, burst);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(this.#clock.monotonicMs());
  }

  /** Queues the entry if it is idle and its next word is due, or if this is the last chance for it. */
  #settle(entry: Entry): void {
    if (entry.state !== "idle") return;
    const lastChance = this.#stopping !== undefined && countPending(entry.series) > 0;
    if (lastChance || isDue(entry.series, this.#clock.monotonicMs())) this.#enqueue(entry);
  }

  #enqueue(entry: Entry): void {
    entry.state = "queued";
    this.#queue.add(entry.series.key, entry.series.event === undefined ? CREATE : PATCH);
  }

  async #deliver(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.state = "sending";
    let result: EventResult;
    try {
      result = await this.#send(entry);
    } catch (error) {
      result = { kind: "refused", message: error instanceof Error ? error.message : String(error) };
    }
    // After the deadline everything pending has been counted as lost; it can't be counted again.
    if (this.#closed) return;
    entry.state = "idle";
    this.#recordResult(entry, result);
  }

  async #send(entry: Entry): Promise<EventResult> {
    const { series } = entry;
    const { signal } = this.#aborter;
    const uid = await this.#uids.get(series.occurrence.regarding, signal);
    // The namespace of a pod that is gone may still be there; what is to be done is the same.
    if (uid.kind === "absent") return { kind: "namespace_gone" };
    if (uid.kind !== "found") return uid;
    if (entry.attempt === undefined) {
      if (series.event !== undefined && series.event.uid !== uid.uid) startOver(series);
      entry.attempt = createAttempt(series, uid.uid, this.#clock.nowMs(), this.#clock.random());
    }
    const { attempt } = entry;
    if (attempt.kind === "create") return this.#sink.create(attempt.event, signal);
    const last = { count: attempt.count, lastObservedUs: attempt.lastUs };
    return this.#sink.patchSeries(attempt.ref, last, signal);
  }

  #recordResult(entry: Entry, result: EventResult): void {
    switch (result.kind) {
      case "sent":
        this.#recordPersisted(entry);
        break;
      case "gone":
        this.#createAnew(entry);
        break;
      case "namespace_gone":
        this.#mute(entry, "pod_gone");
        break;
      case "refused":
        this.#warn(entry, result.message);
        this.#mute(entry, "refused");
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
    this.#counters.told += recordSent(series, attempt, this.#clock.monotonicMs());
    entry.attempt = undefined;
    entry.tries = 0;
    this.#settle(entry);
  }

  /** Creates the Event again after it was deleted or its time to live ran out; it carries the whole count. */
  #createAnew(entry: Entry): void {
    entry.attempt = undefined;
    entry.series.event = undefined;
    if (this.#takeCreateToken(entry.series.occurrence)) {
      this.#enqueue(entry);
      return;
    }
    this.#counters.suppressed.rate_limited += countPending(entry.series);
    this.#forget(entry);
  }

  #retry(entry: Entry, result: { message: string; retryAfterMs?: number }): void {
    const nowMs = this.#clock.monotonicMs();
    if (result.retryAfterMs !== undefined) {
      this.#loop.pause(Math.min(MAX_PAUSE_MS, result.retryAfterMs));
    }
    entry.tries += 1;
    if (entry.tries >= MAX_TRIES) {
      this.#warn(entry, result.message);
      this.#mute(entry, "retries_exhausted");
      return;
    }
    this.#counters.retries += 1;
    // Half fixed, half jitter: five tries in no time at all would be no patience.
    const capMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (entry.tries - 1));
    entry.retryAtMs = nowMs + capMs * (0.5 + this.#clock.random() / 2);
    entry.state = "backoff";
    this.#armTick();
  }

  #mute(entry: Entry, reason: keyof typeof MUTE_MS): void {
    this.#muted.set(entry.series.key, reason, { ttl: MUTE_MS[reason] });
    this.#drop(entry, reason);
  }

  #drop(entry: Entry, reason: LossReason): void {
    this.#counters.lost[reason] += countPending(entry.series);
    this.#forget(entry);
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.series.key);
    this.#queue.forget(entry.series.key);
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
      if (entry.state === "backoff" && entry.retryAtMs <= nowMs) this.#enqueue(entry);
      else if (entry.state === "idle" && isOver(entry.series, nowMs)) this.#forget(entry);
      else this.#settle(entry);
    }
    if (this.#entries.size > 0) this.#armTick();
  }

  #checkDrained(): void {
    if (this.#stopping === undefined) return;
    for (const entry of this.#entries.values()) if (entry.state !== "idle") return;
    this.#drained.resolve();
  }

  /** Logs at most one line a minute; the counters hold the number of failures. */
  #warn(entry: Entry, message: string): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lastWarnMs < WARN_INTERVAL_MS) return;
    this.#lastWarnMs = nowMs;
    const { kind, name } = entry.series.occurrence.regarding;
    this.#logger.warn({ regarding: `${kind} ${name}`, error: message }, "an Event could not be sent");
  }
}
