// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Two replicas over one store, of which the leader dies and the standby takes over. Its last writes may arrive late.

import type { Alert } from "../../src/api/alert.ts";
import type { Report } from "../../src/api/v1alpha1.ts";
import { Pipeline, type PipelineOptions } from "../../src/app/pipeline/pipeline.ts";
import { silentLogger } from "../../src/lib/logger.ts";
import type { ReportSink, WriteResult } from "../../src/sinks/report-sink.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { createPipelineOptions, LIMITS, START_MS } from "../support/gen.ts";
import { MemorySink } from "../support/memory-sink.ts";
import { sendRaw } from "../support/send-raw.ts";
import { SIGNAL } from "../support/signal.ts";

const RENEWAL_MS = 2000;
const PACE = { firstWriteDelayMs: 200, minIntervalMs: 2000, maxIntervalMs: 8000 };

/** One alert: what it is, when it happened, and when each replica gets it. */
export interface Sent {
  alert: Alert;
  atMs: number;
  leaderMs: number;
  standbyMs: number;
}

export interface Scenario {
  sent: Sent[];
  dieMs: number;
  takeOverMs: number;
  watchLagMs: number;
  /** From when on the leader's writes get stuck, and how long after the takeover they arrive after all. */
  stuckMs?: number;
  lateMs?: number;
  /** From when on the standby reads; default: the start. */
  readFromMs?: number;
}

/** A way to the store on which writes get stuck from some time on. */
class SlowSink implements Pick<ReportSink, "write"> {
  isStuck = false;
  readonly stuck: Report[] = [];
  readonly #store: MemorySink;

  constructor(store: MemorySink) {
    this.#store = store;
  }

  async write(report: Report, signal: AbortSignal): Promise<WriteResult> {
    if (!this.isStuck) return await this.#store.write(report, signal);
    this.stuck.push(report);
    return await new Promise((resolve) =>
      signal.addEventListener("abort", () => resolve({ kind: "unknown", message: "given up" })),
    );
  }

  /** Lets requests under way reach the store. Returns their outcome. */
  async releaseRequests(): Promise<WriteResult["kind"][]> {
    const results: WriteResult["kind"][] = [];
    for (const report of this.stuck) results.push((await this.#store.write(report, SIGNAL)).kind);
    return results;
  }
}

/** Two replicas in one world. */
export class HandoverWorld {
  readonly clock = new FakeClock(START_MS);
  readonly store = new MemorySink();
  readonly leader: Pipeline;
  readonly standby: Pipeline;
  readonly #way = new SlowSink(this.store);
  /** Outcome of the leader's late writes. */
  late: WriteResult["kind"][] = [];

  constructor(options: Partial<PipelineOptions>) {
    const { store } = this;
    const slow: ReportSink = {
      list: (signal) => store.list(signal),
      read: (ref, signal) => store.read(ref, signal),
      write: (report, signal) => this.#way.write(report, signal),
      remove: (ref, version, signal) => store.remove(ref, version, signal),
    };
    this.leader = this.#createReplica({ ...options, writerId: "leader" }, slow);
    this.standby = this.#createReplica({ ...options, writerId: "standby" }, store);
  }

  #createReplica(options: Partial<PipelineOptions>, sink: ReportSink): Pipeline {
    const maxPodsPerViolation = options.limits?.maxPodsPerViolation ?? LIMITS.maxPodsPerViolation;
    const standby = { maxAlerts: 10_000, maxCells: 1000, maxPodsPerViolation, overlapMs: 10_000 };
    const pipeline = new Pipeline(createPipelineOptions({ pace: PACE, standby, ...options }), {
      sink,
      events: { record: () => {} },
      clock: this.clock,
      logger: silentLogger,
    });
    return sendRaw(pipeline);
  }

  /** Runs until everything has arrived and is written. */
  async run({ sent, stuckMs, dieMs, takeOverMs, lateMs, watchLagMs, readFromMs = 0 }: Scenario): Promise<void> {
    const { clock, store, leader, standby } = this;
    const observer = standby.takeover.observer!;
    // Content of the leader's Lease.
    let persistedUntilMs: number | undefined;
    let isLeaderAlive = true;
    let isFollowing = true;
    const later = (fn: () => void) => clock.after(watchLagMs, () => isFollowing && fn());
    store.observers.add({
      onStored: (report, how) => later(() => observer.onStored(report, how)),
      onListed: () => {},
      onRemoved: (report) => later(() => observer.onRemoved(report)),
    });
    observer.onListed("PolicyViolationReport");
    observer.onListed("ClusterPolicyViolationReport");
    const renew = () => {
      if (!isLeaderAlive) return;
      persistedUntilMs = leader.takeover.persistedUntilMs;
      standby.takeover.onLeaderProgress(persistedUntilMs);
      clock.after(RENEWAL_MS, renew);
    };
    leader.onConnected();
    if (readFromMs === 0) standby.onConnected();
    else clock.after(readFromMs, () => standby.onConnected());
    await leader.load(SIGNAL);
    leader.controller.start();
    renew();
    for (const { alert: each, leaderMs, standbyMs } of sent) {
      clock.after(leaderMs, () => isLeaderAlive && leader.onAlert(each, 0));
      if (standbyMs > readFromMs) clock.after(standbyMs, () => standby.onAlert(each, 0));
    }
    if (stuckMs !== undefined) {
      clock.after(stuckMs, () => {
        this.#way.isStuck = true;
      });
    }
    await clock.advance(dieMs);
    isLeaderAlive = false;
    await leader.controller.suspend();
    await clock.advance(takeOverMs - dieMs);
    isFollowing = false;
    await standby.load(SIGNAL, { persistedUntilMs, isReleased: false });
    standby.controller.start();
    await clock.advance(lateMs ?? 0);
    this.late = await this.#way.releaseRequests();
    await clock.advance(10 * 60_000);
  }
}
