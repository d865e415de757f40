// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Standby: reads while another replica writes, keeps the alerts that no report shows, expires them, and adds them to
// the reports at a takeover. Invariant: an alert that is in a stored report is never added to it again, at the takeover
// or in the overlap after it.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { AlertTally } from "../ingest/alert-tally.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import { reportKey, type ThrottleNotice, type Violation } from "../ingest/violation.ts";
import { assert } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { Slices } from "../lib/slices.ts";
import { isNamedRight } from "../report/parse.ts";
import { ReportedUntil, ReportedUntilIndex } from "../report/reported-until.ts";
import type { ReportObserver } from "../sinks/report-sink.ts";
import { subtractReported } from "./subtract-reported.ts";
import { UNDATED_MARGIN_US, UnreportedAlerts, type UnreportedLimits } from "./unreported-alerts.ts";

export interface StandbyOptions extends UnreportedLimits {
  /** Length of the takeover overlap: alerts are still compared with the reports as of the takeover. Milliseconds. */
  seamMs: number;
}

export interface StandbyParts {
  aggregator: Aggregator;
  clock: Clock;
  /** A report may be short of some counts that the previous leader did not write. */
  onMissing: (namespace: string | undefined, policyName: string) => void;
  /** Called at the end of the overlap: alerts can go straight to the ledgers. */
  onOver: () => void;
}

/** Outcomes of the alerts that were counted while another replica led, or in the overlap. */
export interface StandbyCounters {
  /** Kept, for no report shows them yet. */
  held: number;
  /** Left to the leader: in its report. */
  shown: number;
  /** Given up at a bound. */
  forgotten: number;
}

/** Notices kept for a takeover; at the bound the older half leaves. */
const MAX_NOTICES = 10_000;
/** A report in which nothing is newer can show no alert that is still on its way here. */
const ON_ITS_WAY_US = 10 * 60_000_000;
/** Some milliseconds of work. */
const ENTRIES_PER_STEP = 2000;
/** Upper bound of the overlap, also while alerts that were reported before keep coming. */
const MAX_SEAM_MS = 5 * 60_000;

export class Standby implements AlertTally, ReportObserver {
  /** Each alert is compared with what reports show. */
  readonly countsCells = false;
  readonly #options: StandbyOptions;
  readonly #parts: StandbyParts;
  readonly #unreported: UnreportedAlerts;
  /** Notices that the leader adds to its reports, besides alerts. */
  #notices: { retell: () => void; atMs: number }[] = [];
  /** Set from the takeover to the end of the overlap. */
  #seam: ReportedUntilIndex | undefined;
  #seamLastMs = 0;
  #isOver = false;
  #shownInSeam = 0;
  readonly #listed = new Set<Report["kind"]>();
  /** At the takeover, for there was no room for more reports. */
  #refused = 0;
  /**
   * Per report, alerts that it had at the takeover and that had not come here; below 0 the report is known to lack
   * some.
   */
  readonly #yetToCome = new Map<string, number>();

  constructor(options: StandbyOptions, parts: StandbyParts) {
    this.#options = options;
    this.#parts = parts;
    this.#unreported = new UnreportedAlerts(options);
  }

  get counters(): StandbyCounters {
    const { held, shownTotal, forgottenTotal } = this.#unreported;
    return { held, shown: shownTotal + this.#shownInSeam, forgotten: forgottenTotal + this.#refused };
  }

  add(occurrence: Occurrence, isDated: boolean): boolean {
    const { violation, timeUs } = occurrence;
    const seam = this.#seam;
    const marginUs = isDated ? 0 : UNDATED_MARGIN_US;
    const shownUs = seam?.until(violation) ?? 0;
    if (seam && (shownUs === 0 || timeUs > shownUs + marginUs)) {
      const { source } = occurrence;
      return this.#parts.aggregator.add({ violation, timeUs, source });
    }
    if (seam === undefined) this.#unreported.add(occurrence, isDated);
    else this.#leave(violation);
    return true;
  }

  addThrottleNotice(notice: ThrottleNotice): number {
    const { aggregator } = this.#parts;
    if (this.#seam !== undefined) return aggregator.addThrottleNotice(notice);
    this.keep(() => aggregator.addThrottleNotice(notice));
    return 0;
  }

  /** Keeps a notice for a takeover, unless the leader has persisted it by then. */
  keep(retell: () => void): void {
    this.#notices.push({ retell, atMs: this.#parts.clock.nowMs() });
    if (this.#notices.length > MAX_NOTICES) this.#notices = this.#notices.slice(MAX_NOTICES / 2);
  }

  onStored(report: Report, how: "listed" | "changed"): void {
    if (this.#seam === undefined && isNamedRight(report)) this.#unreported.observe(report, how === "changed");
  }

  onListed(kind: Report["kind"]): void {
    this.#listed.add(kind);
  }

  onRemoved(report: Report): void {
    if (this.#seam === undefined && isNamedRight(report)) this.#unreported.removed(report);
  }

  /** Reports to which alerts would be added now. */
  listHeldKeys(): Iterable<string> {
    return this.#unreported.listHeldKeys();
  }

  /** Everything that the leader will yet write has come here, too. */
  settle(): void {
    if (this.#seam === undefined) this.#unreported.settle();
  }

  /**
   * Adds to the ledgers, with `stored` as their base, the alerts that no report shows, and the throttle notices since
   * `persistedUntilMs`. Returns the number of alerts added.
   */
  async takeOver(stored: readonly Report[], persistedUntilMs: number): Promise<number> {
    assert(this.#seam === undefined, "a standby takes over once");
    const { clock } = this.#parts;
    const shown = new ReportedUntilIndex(this.#options.maxPodsPerViolation);
    const slices = new Slices(clock, ENTRIES_PER_STEP);
    for (const report of stored) {
      this.#unreported.observe(report, this.#listed.has(report.kind));
      shown.set(report);
      await slices.spend(1 + report.violations.length);
    }
    // From here on alerts are compared with what the reports show now.
    this.#seam = shown;
    const added = await this.#addHeld(shown, persistedUntilMs);
    const nowMs = clock.nowMs();
    shown.forgetBefore(nowMs * 1000 - ON_ITS_WAY_US);
    this.#seamLastMs = nowMs;
    this.#awaitSeamEnd(nowMs + MAX_SEAM_MS);
    return added;
  }

  /** Adds to the ledgers all that was read: no other replica has counted any of it. */
  async releaseAll(): Promise<number> {
    const nothing = new ReportedUntilIndex(this.#options.maxPodsPerViolation);
    this.#seam = nothing;
    return await this.#addHeld(nothing, 0);
  }

  async #addHeld(shown: ReportedUntilIndex, persistedUntilMs: number): Promise<number> {
    const { aggregator, clock, onMissing } = this.#parts;
    const slices = new Slices(clock, ENTRIES_PER_STEP);
    const takeovers = this.#unreported.drain(shown);
    // A notice twice says no more than once; a notice that is missing would hide that numbers are too low.
    for (const { retell, atMs } of this.#notices) if (atMs >= persistedUntilMs) retell();
    this.#notices = [];
    for (const { namespace, policyName, alerts, balance } of takeovers) {
      for (const occurrence of alerts) {
        if (!aggregator.add(occurrence)) this.#refused++;
        await slices.spend(1);
      }
      if (balance > 0) onMissing(namespace, policyName);
      const key = reportKey(namespace, policyName);
      this.#yetToCome.set(key, (this.#yetToCome.get(key) ?? 0) - balance);
    }
    return this.#unreported.takenOverTotal;
  }

  /**
   * Subtracts from the pending counts of `ledger` those that `report` may have: a late write of the previous leader
   * with `more` occurrences than were known.
   */
  leaveOut(ledger: Ledger, report: Report, more: number): void {
    const { namespace, policyName } = ledger;
    const { left, isCertain } = subtractReported(
      ledger,
      new ReportedUntil(report, this.#options.maxPodsPerViolation),
    );
    this.#shownInSeam += left;
    const key = reportKey(namespace, policyName);
    const yetToCome = (this.#yetToCome.get(key) ?? 0) + Math.max(0, more) - left;
    this.#yetToCome.set(key, yetToCome);
    if (!isCertain || yetToCome < 0) this.#parts.onMissing(namespace, policyName);
    // Alerts in it may still be on their way here.
    this.#seam?.set(report);
    this.#seamLastMs = this.#parts.clock.nowMs();
    if (this.#isOver) this.#awaitSeamEnd(this.#seamLastMs + MAX_SEAM_MS);
  }

  /** Before the times in the report at the takeover, and so either in it or lost with the previous leader. */
  #leave({ namespace, policyName }: Violation): void {
    this.#shownInSeam++;
    this.#seamLastMs = this.#parts.clock.nowMs();
    const key = reportKey(namespace, policyName);
    const yetToCome = (this.#yetToCome.get(key) ?? 0) - 1;
    this.#yetToCome.set(key, yetToCome);
    if (yetToCome === -1) this.#parts.onMissing(namespace, policyName);
  }

  /** The overlap lasts as long as alerts that were reported before keep coming. */
  #awaitSeamEnd(latestMs: number): void {
    const { clock, onOver } = this.#parts;
    const { seamMs } = this.#options;
    this.#isOver = false;
    clock.after(seamMs, () => {
      const nowMs = clock.nowMs();
      this.#isOver = nowMs - this.#seamLastMs >= seamMs || nowMs >= latestMs;
      if (this.#isOver) onOver();
      else this.#awaitSeamEnd(latestMs);
    });
  }
}
