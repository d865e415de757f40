// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Overlap after a takeover: an alert may reach this replica later than it reached the previous leader, so each one is
// compared with the reports as they were at the takeover. Invariant: an alert that is in a stored report is never added
// to it again.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { AlertTally } from "../ingest/alert-tally.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import { reportKey, type ThrottleNotice, type ViolationFacts } from "../ingest/violation/violation.ts";
import type { Clock } from "../lib/clock.ts";
import { createSpend, type Steps } from "../lib/pacing/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import { ReportedUntil, ReportedUntilIndex } from "../report/reported-until.ts";
import { type ReportTakeover, UNDATED_MARGIN_US } from "./standby/unreported-alerts.ts";
import { subtractReported } from "./subtract-reported.ts";

export interface OverlapOptions {
  /** Pods that the leader lists per violation. */
  maxPodsPerViolation: number;
  /** Length; longer while alerts that were reported before keep coming. Milliseconds. */
  overlapMs: number;
}

export interface OverlapParts {
  aggregator: Aggregator;
  clock: Clock;
  /** Time of a clock that the replicas share, in milliseconds since the epoch; undefined where it is unknown. */
  otherNowMs?: (() => number | undefined) | undefined;
  /** A report may be short of some counts that the previous leader did not write. */
  onMissing: (namespace: string | undefined, policyName: string) => void;
  /** Called at the end: alerts can go straight to the ledgers. */
  onElapsed: () => void;
}

/** A violation without a newer alert is not kept in `shown`: an alert on its way here is newer, by a right clock. */
const ON_ITS_WAY_US = 10 * 60_000_000;
const ALERTS_PER_STEP = 2000;
/** Upper bound, also while alerts that were reported before keep coming. */
const MAX_OVERLAP_MS = 5 * 60_000;

export class Overlap implements AlertTally {
  readonly countsCells = false;
  readonly #options: OverlapOptions;
  readonly #parts: OverlapParts;
  /** Times in the reports at the takeover. */
  readonly shown: ReportedUntilIndex;
  /** Violations without an alert since are not in `shown`. */
  #shownSinceUs: EpochUs = 0;
  /** Monotonic time of the newest alert that was left to the previous leader. */
  #lastLeftMs = 0;
  #isElapsed = true;
  /** Alerts left to the previous leader. */
  leftTotal = 0;
  /** Alerts that found no room for their report. */
  refusedTotal = 0;
  /**
   * Per report, alerts that it had at the takeover and that had not come here; below 0 the report is known to lack
   * some.
   */
  readonly #yetToCome = new Map<string, number>();

  constructor(options: OverlapOptions, parts: OverlapParts) {
    this.#options = options;
    this.#parts = parts;
    this.shown = new ReportedUntilIndex(options.maxPodsPerViolation);
  }

  add(occurrence: Occurrence, isDated: boolean): boolean {
    const { violation, timeUs, source } = occurrence;
    const shownUs = this.shown.until(violation) || this.#findBehind(violation, timeUs);
    const marginUs = isDated ? 0 : UNDATED_MARGIN_US;
    if (shownUs === 0 || timeUs > shownUs + marginUs) return this.#parts.aggregator.add({ violation, timeUs, source });
    this.#leave(violation);
    return true;
  }

  /** As `shown`, for an alert from a node with a clock that is behind. */
  #findBehind(violation: ViolationFacts, timeUs: EpochUs): EpochUs {
    if (timeUs >= this.#shownSinceUs) return 0;
    const { namespace, policyName } = violation;
    return (
      this.#parts.aggregator.ledgers.get(reportKey(namespace, policyName))?.counts.findCommittedUntil(violation) ?? 0
    );
  }

  addThrottleNotice(notice: ThrottleNotice): number {
    return this.#parts.aggregator.addThrottleNotice(notice);
  }

  /** Takes the times of a stored report at the takeover. */
  onTakenOver(report: Report): void {
    // In a namespace's report only recent alerts can be in flight; counts of other namespaces may have been moved to a
    // cluster report at any time.
    const isCluster = report.metadata.namespace === undefined;
    this.shown.set(report, isCluster ? 0 : this.#onItsWayUs);
  }

  /** Adds to the ledgers what a standby held. */
  async addHeld(takeovers: Iterable<ReportTakeover>): Promise<void> {
    const { aggregator, clock, onMissing } = this.#parts;
    const spend = createSpend(clock, ALERTS_PER_STEP);
    for (const { namespace, policyName, alerts, balance } of takeovers) {
      for (const occurrence of alerts) {
        if (!aggregator.add(occurrence)) this.refusedTotal++;
        await spend(1);
      }
      if (balance > 0) onMissing(namespace, policyName);
      const key = reportKey(namespace, policyName);
      this.#yetToCome.set(key, (this.#yetToCome.get(key) ?? 0) - balance);
    }
  }

  /** Starts to wait for the end. */
  start(): void {
    this.#shownSinceUs = this.#onItsWayUs;
    this.shown.forgetBefore(this.#shownSinceUs);
    this.#waitAgain();
  }

  /** An alert that is still on its way here is not older, by either clock. */
  get #onItsWayUs(): EpochUs {
    const { clock, otherNowMs } = this.#parts;
    const nowMs = Math.min(clock.nowMs(), otherNowMs?.() ?? Number.POSITIVE_INFINITY);
    return nowMs * 1000 - ON_ITS_WAY_US;
  }

  /**
   * Subtracts from the pending counts of `ledger` those that `report` may have: a late write of the previous leader
   * with `more` occurrences than were known. Steps as those of LedgerTransfer.revise.
   */
  *subtract(ledger: Ledger, report: Report, more: number): Steps {
    const { namespace, policyName } = ledger;
    // Alerts in it may still be on their way here.
    this.onTakenOver(report);
    this.#waitAgain();
    const key = reportKey(namespace, policyName);
    this.#yetToCome.set(key, (this.#yetToCome.get(key) ?? 0) + Math.max(0, more));
    const shown = new ReportedUntil(report, this.#options.maxPodsPerViolation);
    const { left, isCertain } = yield* subtractReported(ledger, shown);
    this.leftTotal += left;
    const yetToCome = (this.#yetToCome.get(key) ?? 0) - left;
    this.#yetToCome.set(key, yetToCome);
    if (!isCertain || yetToCome < 0) this.#parts.onMissing(namespace, policyName);
  }

  /** Before the times in the report at the takeover, and so either in it or lost with the previous leader. */
  #leave({ namespace, policyName }: ViolationFacts): void {
    this.leftTotal++;
    this.#lastLeftMs = this.#parts.clock.monotonicMs();
    const key = reportKey(namespace, policyName);
    const yetToCome = (this.#yetToCome.get(key) ?? 0) - 1;
    this.#yetToCome.set(key, yetToCome);
    if (yetToCome === -1) this.#parts.onMissing(namespace, policyName);
  }

  #waitAgain(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#lastLeftMs = nowMs;
    if (this.#isElapsed) this.#wait(nowMs + MAX_OVERLAP_MS);
  }

  #wait(latestMs: number): void {
    const { clock, onElapsed } = this.#parts;
    const { overlapMs } = this.#options;
    this.#isElapsed = false;
    clock.after(overlapMs, () => {
      const nowMs = clock.monotonicMs();
      this.#isElapsed = nowMs - this.#lastLeftMs >= overlapMs || nowMs >= latestMs;
      if (!this.#isElapsed) return this.#wait(latestMs);
      this.shown.clear();
      onElapsed();
    });
  }
}
