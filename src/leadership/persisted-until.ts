// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time before which everything that this process counted is in the stored reports; a leader publishes it to its
// successor. Invariant: never too late. Time is that of the arrival of alerts, and monotonic.

import type { LateGaps } from "../aggregate/gaps/late-gaps.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Clock } from "../lib/clock.ts";
import type { ControllerObserver } from "../reconcile/controller-observer.ts";

/** Unknown: earlier than anything. */
export const UNKNOWN_MS = Number.NEGATIVE_INFINITY;

export class PersistedUntil implements ControllerObserver {
  readonly #clock: Pick<Clock, "nowMs" | "monotonicMs">;
  /** Time since when a report has something to write, at least; by report. */
  #since = new Map<string, number>();
  /** Time of the last look; pending counts that are not in `since` came after it. */
  #lookedMs = UNKNOWN_MS;
  /** Counts of other reports that were moved to a report: since when at least they wait, and when they were moved. */
  readonly #moved = new Map<string, { sinceMs: number; atMs: number }>();

  /** Nothing is read from then on. */
  #readUntilMs = Number.POSITIVE_INFINITY;

  constructor(clock: Pick<Clock, "nowMs" | "monotonicMs">) {
    this.#clock = clock;
  }

  /**
   * Starts from stored reports that have everything from before `ms`, from any replica; UNKNOWN_MS where that is not
   * known.
   */
  begin(ms: number): void {
    this.#since.clear();
    this.#lookedMs = ms;
  }

  onWritten({ namespace, policyName }: Ledger, _report: Report, takenMs: number): void {
    const key = reportKey(namespace, policyName);
    // A write that was taken earlier has none of the moved counts.
    if (takenMs >= (this.#moved.get(key)?.atMs ?? takenMs)) this.#moved.delete(key);
    this.#since.set(key, Math.max(takenMs, this.#since.get(key) ?? this.#lookedMs));
  }

  onMoving({ namespace, policyName }: Ledger): void {
    const [from, to] = [reportKey(namespace, policyName), reportKey(undefined, policyName)];
    const nowMs = this.#clock.monotonicMs();
    const sinceMs = Math.min(this.#findSinceMs(from), this.#moved.get(to)?.sinceMs ?? nowMs);
    this.#moved.set(to, { sinceMs, atMs: nowMs });
    this.#moved.delete(from);
  }

  #findSinceMs(key: string): number {
    const sinceMs = this.#since.get(key) ?? this.#lookedMs;
    return Math.min(sinceMs, this.#moved.get(key)?.sinceMs ?? sinceMs);
  }

  /** From now on nothing is read any more. */
  onReadingEnds(): void {
    this.#readUntilMs = Math.min(this.#readUntilMs, this.#clock.monotonicMs());
  }

  /** Returns the time in milliseconds since the epoch, 0 where it is not known; gaps that all reports have are held no longer. */
  findEpochMs(ledgers: ReadonlyMap<string, Ledger>, late: Partial<LateGaps> = {}): number {
    const nowMs = this.#clock.monotonicMs();
    const writtenMs = this.#look(ledgers, nowMs);
    late.stated?.expire(writtenMs);
    if (late.held?.addedMs !== undefined && late.held.addedMs < writtenMs) late.held = undefined;
    const untilMs = Math.min(writtenMs, this.#readUntilMs, late.held?.sinceMs ?? writtenMs);
    return untilMs === UNKNOWN_MS ? 0 : this.#clock.nowMs() - (nowMs - untilMs);
  }

  /** Looks at every ledger: costs little enough for every few seconds. */
  #look(ledgers: ReadonlyMap<string, Ledger>, nowMs: number): number {
    const since = new Map<string, number>();
    let oldestMs = nowMs;
    for (const [key, ledger] of ledgers) {
      // A gap that the ledger gets in a later step is in no report yet.
      ledger.gaps.addDeclared();
      if (!ledger.write.isNeeded && !ledger.write.isInFlight) continue;
      since.set(key, this.#since.get(key) ?? this.#lookedMs);
      oldestMs = Math.min(oldestMs, this.#findSinceMs(key));
    }
    this.#since = since;
    this.#lookedMs = nowMs;
    return oldestMs;
  }
}
