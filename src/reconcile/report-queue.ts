// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Queue of the reports that changed: what is urgent first, each report at its own pace, namespaces in turn.
// Only keys are queued: a storm of alerts is one key.

import type { Urgency } from "../aggregate/gaps/urgency.ts";
import { namespaceInKey } from "../ingest/violation/violation.ts";
import type { Clock } from "../lib/clock.ts";
import { WorkQueue } from "../lib/pacing/work-queue.ts";
import { ReportPaces } from "./report-paces.ts";
import type { PaceOptions } from "./write-pace.ts";

const RANKS: Record<Urgency, number> = { new_report: 0, new_violation: 1, counters: 2, coverage: 3, stream: 4 };

export class ReportQueue {
  /** Keys as the workers take them. */
  readonly work: WorkQueue;
  readonly #paces: ReportPaces;

  constructor(pace: PaceOptions, clock: Pick<Clock, "monotonicMs">) {
    this.work = new WorkQueue({ clock, ranks: 5, flow: namespaceInKey });
    this.#paces = new ReportPaces(pace, clock);
  }

  /** Reports that wait to be written or are being written. */
  get length(): number {
    return this.work.length + this.work.processing;
  }

  /** Number of remembered paces. */
  get pacesHeld(): number {
    return this.#paces.size;
  }

  /** Adds a changed report, due at its pace. */
  add(key: string, urgency: Urgency): void {
    const waiting = this.work.waitingRank(key);
    if (waiting !== undefined && waiting <= RANKS[urgency]) return;
    this.work.addAfter(key, RANKS[urgency], this.#paces.computeDelayMs(key, urgency));
  }

  /** Adds a report after a failure. */
  requeue(key: string, fresh: boolean, afterMs: number): void {
    this.work.requeueAfter(key, fresh ? RANKS.new_violation : RANKS.counters, afterMs);
  }

  /** Counts a write. Drops what was added meanwhile: it was due at the old pace. */
  recordWrite(key: string, fresh: boolean): void {
    this.#paces.recordWrite(key, fresh);
    this.work.forget(key);
  }

  /** Drops a report that is written without its turn. */
  forget(key: string): void {
    this.work.forget(key);
  }

  /** Drops a report that is no more. */
  delete(key: string): void {
    this.work.forget(key);
    this.#paces.forget(key);
  }
}

/** True if a change of this rank brings a new violation. */
export function isFresh(rank: number): boolean {
  return rank < RANKS.counters;
}
