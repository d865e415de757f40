// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One life of a replica, on time and a store that it shares with others: answers get lost, writes arrive late, the wall
// clock is set, the stream breaks.

import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline, type PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import { Journaling } from "../../src/journal/journal-writer.ts";
import { createSqliteJournal } from "../../src/journal/sqlite-journal.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import type { ReportSink, WriteResult } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createPipelineOptions, START_MS } from "../support/gen.ts";
import type { MemorySink } from "../support/memory-sink.ts";
import { sendRaw } from "../support/send-raw.ts";
import { SIGNAL } from "../support/signal.ts";

export interface ChaosOptions extends Pick<PipelineOptions, "limits" | "memory"> {
  /** Share of the writes that are answered by an error, whether or not they reach the store. */
  faults: number;
  /** Share of the replicas with a journal. */
  journals: number;
  /** Files that the alerts are about. */
  files: number;
  seconds: number;
  /** Alerts that a standby holds at most. */
  maxAlerts: number;
  /** By how much a replica's wall clock is wrong at most, either way; it is set again at random times. Default 0. */
  maxClockErrorMs?: number;
  /** Share of the steps in which a replica loses its stream, for up to 40 s, most often for a second. Default 0. */
  outages?: number;
}

/** Time and chance of one run, which all processes share. */
export class World extends FakeClock {
  constructor(seed: number) {
    super(START_MS, seed, 8);
  }

  pickBelow(n: number): number {
    return Math.floor(this.random() * n);
  }
}

const waitForever = () => new Promise<never>(() => {});

/** One process. After its death no timer, answer or batch of it happens any more. */
export class Life {
  isAlive = true;
  isLeader = false;
  isReading = true;
  readonly pipeline: Pipeline;
  readonly journaling: Journaling | undefined;
  /** Delay of its alerts. */
  readonly lagMs: number;
  readonly #world: World;
  readonly #store: MemorySink;
  readonly #faults: number;
  readonly #maxClockErrorMs: number;
  #clockErrorMs = 0;

  constructor(world: World, store: MemorySink, name: string, path: string | undefined, options: ChaosOptions) {
    this.#world = world;
    this.#maxClockErrorMs = options.maxClockErrorMs ?? 0;
    this.setClock();
    this.#store = store;
    this.#faults = options.faults;
    this.lagMs = world.pickBelow(300);
    const clock = this.#createClock();
    this.journaling =
      path === undefined
        ? undefined
        : new Journaling({
            open: createSqliteJournal({ path, maxBytes: 2 ** 24 }),
            batchIntervalMs: 50,
            freshWriterId: name,
            clock,
            logger: silentLogger,
          });
    const { limits, memory, maxAlerts } = options;
    const pace = { firstWriteDelayMs: 200, minIntervalMs: 2000, maxIntervalMs: 8000 };
    const standby = { maxAlerts, maxCells: 1000, maxPodsPerViolation: limits.maxPodsPerViolation, overlapMs: 10_000 };
    const pipeline = new Pipeline(createPipelineOptions({ pace, writerId: name, limits, memory, standby }), {
      journaling: this.journaling,
      sink: this.#createSink(),
      otherNowMs: () => Math.floor(world.nowMs() / 1000) * 1000,
      events: { record() {} },
      clock,
      logger: silentLogger,
    });
    this.pipeline = sendRaw(pipeline);
    this.#follow();
    this.pipeline.onConnected();
  }

  /** Sets the wall clock to a wrong time. */
  setClock(): void {
    const maxMs = this.#maxClockErrorMs;
    if (maxMs > 0) this.#clockErrorMs = this.#world.pickBelow(2 * maxMs) - maxMs;
  }

  /** Loses the stream, and opens it again after `ms`; what is sent meanwhile is lost. */
  loseStream(ms: number): void {
    if (!this.isAlive || !this.isReading) return;
    this.isReading = false;
    const atMs = this.#world.nowMs() + this.#clockErrorMs;
    this.pipeline.onDisconnected({ atMs, lastReadMs: atMs, reason: "error", message: "injected" });
    this.#world.after(ms, () => {
      if (!this.isAlive) return;
      this.isReading = true;
      this.pipeline.onConnected();
    });
  }

  /** A time by this replica's wall clock as it is set now. */
  toOwnMs(ms: number | undefined): number | undefined {
    return ms === undefined ? undefined : ms + this.#clockErrorMs;
  }

  /** Everything that this leader counted before is in reports. */
  get persistedUntilMs(): number | undefined {
    const ms = this.pipeline.takeover.persistedUntilMs;
    // 0: not known.
    return ms === undefined || ms === 0 ? ms : ms - this.#clockErrorMs;
  }

  #createClock(): Clock {
    const world = this.#world;
    return {
      nowMs: () => world.nowMs() + this.#clockErrorMs,
      monotonicMs: () => world.nowMs(),
      random: () => world.random(),
      turn: () => Promise.resolve(),
      after: (ms, run) => world.after(ms, () => this.isAlive && run()),
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          const end = () => this.isAlive && resolve();
          if (signal?.aborted) return resolve();
          world.after(ms, end);
          signal?.addEventListener("abort", end, { once: true });
        }),
    };
  }

  #createSink(): ReportSink {
    const store = this.#store;
    return {
      list: (signal) => store.list(signal),
      read: async (ref, signal) => {
        const result = await store.read(ref, signal);
        return this.isAlive ? result : await waitForever();
      },
      remove: async (ref, version, signal) =>
        this.isLeader ? await store.remove(ref, version, signal) : { kind: "retry", message: "not the leader" },
      write: async (report, signal) =>
        this.isLeader ? await this.#write(report, signal) : { kind: "retry", message: "not the leader" },
    };
  }

  async #write(sent: Report, signal: AbortSignal): Promise<WriteResult> {
    const world = this.#world;
    const store = this.#store;
    const report = structuredClone(sent);
    if (world.random() < this.#faults) return await this.#fail(report, signal);
    // Takes a moment, in which the process may die: before or after the store has the report.
    const isStoredFirst = world.random() < 0.5;
    if (!isStoredFirst) await world.sleep(world.pickBelow(40));
    const result = await store.write(report, signal);
    if (isStoredFirst) await world.sleep(5);
    return this.isAlive ? result : await waitForever();
  }

  async #fail(report: Report, signal: AbortSignal): Promise<WriteResult> {
    const world = this.#world;
    const how = world.pickBelow(5);
    if (how === 0 || how === 2) await this.#store.write(report, signal);
    if (how === 3) world.after(world.pickBelow(20_000), () => void this.#store.write(report, SIGNAL));
    return { kind: how === 2 || how === 4 ? "retry" : "unknown", message: "injected" };
  }

  #follow(): void {
    const observer = this.pipeline.takeover.observer;
    if (!observer) throw new Error("a replica follows the leader");
    for (const report of this.#store.reports) observer.onStored(report, "listed");
    observer.onListed("PolicyViolationReport");
    observer.onListed("ClusterPolicyViolationReport");
    const lagMs = this.#world.pickBelow(200);
    const later = (run: () => void) => {
      this.#world.after(lagMs, () => this.isAlive && !this.isLeader && run());
    };
    this.#store.observers.add({
      onStored: (report, how) => later(() => observer.onStored(report, how)),
      onListed() {},
      onRemoved: (report) => later(() => observer.onRemoved(report)),
    });
  }
}
