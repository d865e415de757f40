// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Queue of changed reports: urgent ones first, each report at its own pace, namespaces in turn.
// Only keys are queued: a storm of alerts is one key.

import type { Urgency } from "../aggregate/gaps/urgency.ts";
import { namespaceInKey } from "../ingest/violation/violation.ts";
import type { Clock } from "../lib/clock.ts";
import { WorkQueue } from "../lib/pacing/work-queue.ts";
import { afterWrite, computeDueMs, computeQuietMs, createPace, type Pace, type PaceOptions } from "./write-pace.ts";

const RANKS: Record<Urgency, number> = { new_report: 0, new_violation: 1, counters: 2, coverage: 3, stream: 4 };

/** As many as the reports held by default. */
const MAX_PACES = 20_000;

export class ReportQueue {
  /** Keys as the workers take them. */
  readonly work: WorkQueue;
  /** Remembered write intervals. */
  readonly paces: ReportPaces;

  constructor(pace: PaceOptions, clock: Pick<Clock, "monotonicMs">) {
    this.work = new WorkQueue({ clock, ranks: 5, flow: namespaceInKey });
    this.paces = new ReportPaces(pace, clock);
  }

  /** Reports that wait to be written or are being written. */
  get length(): number {
    return this.work.length + this.work.processing;
  }

  /** Adds a changed report, due at its pace. */
  add(key: string, urgency: Urgency): void {
    const waiting = this.work.waitingRank(key);
    if (waiting !== undefined && waiting <= RANKS[urgency]) return;
    this.work.addAfter(key, RANKS[urgency], this.paces.computeDelayMs(key, urgency));
  }

  /** Adds a report after a failure. */
  requeue(key: string, fresh: boolean, afterMs: number): void {
    this.work.requeueAfter(key, fresh ? RANKS.new_violation : RANKS.counters, afterMs);
  }

  /** Counts a write. Drops changes added in the meantime: they were due at the old pace. */
  recordWrite(key: string, fresh: boolean): void {
    this.paces.recordWrite(key, fresh);
    this.work.forget(key);
  }

  /** Drops a report that is written without its turn. */
  forget(key: string): void {
    this.work.forget(key);
  }

  /** Drops a deleted report. */
  delete(key: string): void {
    this.work.forget(key);
    this.paces.forget(key);
  }
}

/** True if a change of this rank brings a new violation. */
export function isFresh(rank: number): boolean {
  return rank < RANKS.counters;
}

/**
 * Rate limiter: the delay of a change until its report is due. A pace is dropped once it equals that of a report that was
 * never written: two minutes after its last write by default. At MAX_PACES that of the report written the longest ago is
 * dropped, and the report's next change is written as that of a new one.
 */
class ReportPaces {
  readonly #options: PaceOptions;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** In the order of the last write. */
  readonly #paces = new Map<string, Pace>();
  /** Paces forgotten at the bound. */
  overflows = 0;

  constructor(options: PaceOptions, clock: Pick<Clock, "monotonicMs">) {
    this.#options = options;
    this.#clock = clock;
  }

  get size(): number {
    return this.#paces.size;
  }

  /** Milliseconds from now until a change of this urgency is due. */
  computeDelayMs(key: string, urgency: Urgency): number {
    const nowMs = this.#clock.monotonicMs();
    return Math.max(0, computeDueMs(this.#findPace(key), urgency, nowMs, this.#options) - nowMs);
  }

  /** Counts a write; `fresh`: it brought a new violation. */
  recordWrite(key: string, fresh: boolean): void {
    const nowMs = this.#clock.monotonicMs();
    const pace = afterWrite(this.#findPace(key), fresh, nowMs, this.#options);
    this.#paces.delete(key);
    this.#paces.set(key, pace);
    const quietBeforeMs = nowMs - computeQuietMs(this.#options);
    for (const [oldest, { lastWriteMs }] of this.#paces) {
      const isQuiet = lastWriteMs <= quietBeforeMs;
      if (!isQuiet && this.#paces.size <= MAX_PACES) return;
      if (!isQuiet) this.overflows++;
      this.#paces.delete(oldest);
    }
  }

  forget(key: string): void {
    this.#paces.delete(key);
  }

  #findPace(key: string): Pace {
    return this.#paces.get(key) ?? createPace(this.#options);
  }
}
