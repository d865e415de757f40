// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts that a standby has read and no report shows yet: their times, by report, violation and pod. Invariant: every
// alert that was added is in exactly one of held, shown, forgotten and taken over; those held are bounded by maxAlerts
// times and maxCells violations of a pod.

import type { Report } from "../../api/v1alpha1.ts";
import { MAX_DELIVERY_MS } from "../../ingest/decode.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import { reportKey, type ViolationFacts } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";
import { ReportedUntil, type ReportedUntilIndex } from "../../report/reported-until.ts";
import { ForgottenReports } from "./forgotten-reports.ts";
import { MAX_STATES_BEHIND, NewestTimes, UncertainAlerts } from "./uncertain-alerts.ts";
import { type Cell, leave, listAlerts, type Tracked, toCellKey } from "./unreported-cells.ts";

export interface UnreportedLimits {
  /** Alerts held; 8 bytes each. At the bound the violation that was seen least recently loses its oldest quarter. */
  maxAlerts: number;
  /** Cells (violations of one pod), about 2 KiB each. At the bound the one that was seen least recently is evicted. */
  maxCells: number;
  /** Pods that the leader lists per violation. */
  maxPodsPerViolation: number;
}

/** Alerts that a new leader has to add to a report. */
export interface ReportTakeover {
  namespace: string | undefined;
  policyName: string;
  /** Later than anything that the report shows. To be read once, at once. */
  alerts: Iterable<Occurrence>;
  /** Above 0, alerts that may be neither in the report nor in `alerts`; below 0, alerts in it not received here yet. */
  balance: number;
}

/** An alert without a time of its own gets its arrival time, which may differ from the leader's by this much. */
export const UNDATED_MARGIN_US = MAX_DELIVERY_MS * 1000;

/** Stored reports with their times in memory at once. */
const MAX_SHOWN_KEPT = 1000;
/** Share of a cell's alerts that is evicted at the bound. */
const EVICTED_SHARE = 0.25;

/** A standby's memory. */
export class UnreportedAlerts {
  held = 0;
  /** Alerts that a report of the leader shows, or must be taken to show. */
  shownTotal = 0;
  /** Alerts that were evicted at a bound, or had no time of their own to compare. */
  forgottenTotal = 0;
  /** Alerts that were handed to a new leader's ledgers. */
  takenOverTotal = 0;
  readonly #limits: UnreportedLimits;
  #reports = new Map<string, Tracked>();
  /** All cells, the least recently seen first. */
  readonly #cells = new Set<Cell>();
  readonly #newest: NewestTimes;
  readonly forgotten = new ForgottenReports();
  /** True where an alert without a time of its own was added. */
  hasUndated = false;
  #shownKept = 0;
  /** This replica has also read every alert that has yet to reach a report. */
  #isSettled = false;

  constructor(limits: UnreportedLimits) {
    this.#limits = limits;
    this.#newest = new NewestTimes(limits.maxCells);
  }

  /** Keeps one alert until a report shows it. `isDated` is false where its time is that of its arrival. */
  add({ violation, timeUs, source }: Occurrence, isDated: boolean): void {
    const report = this.#report(violation.namespace, violation.policyName);
    if (!isDated) this.hasUndated = true;
    const marginUs = isDated ? 0 : UNDATED_MARGIN_US;
    const key = toCellKey(violation, isDated);
    const uncertain = this.#isUncertain(report, key, timeUs, isDated) ? 1 : 0;
    if (report.shown !== undefined && timeUs <= report.shown.until(violation) + marginUs) {
      this.shownTotal++;
      report.uncertain.leave(uncertain);
      this.#setBalance(report, report.balance + 1, report.shown);
      return;
    }
    const cell = report.cells.get(key);
    this.held++;
    if (cell) {
      this.#cells.delete(cell);
      cell.times.push(timeUs);
      cell.uncertain += uncertain;
      if (timeUs > cell.latest.timeUs) cell.latest = source.keep(timeUs);
      this.#cells.add(cell);
    } else {
      const made = { key, report, violation, marginUs, times: [timeUs], latest: source.keep(timeUs), uncertain };
      report.cells.set(key, made);
      this.#cells.add(made);
    }
    if (this.held > this.#limits.maxAlerts) this.#evict(EVICTED_SHARE);
    if (this.#cells.size > this.#limits.maxCells) this.#evict(1);
  }

  /** Removes alerts that the report shows. `isNew`: the report has just been created. */
  observe(report: Report, isNew = false): void {
    const tracked = this.#report(report.metadata.namespace, report.policy.name);
    const shown = new ReportedUntil(report, this.#limits.maxPodsPerViolation);
    tracked.uncertain.beginState();
    const left = this.#leave(tracked, (violation) => shown.until(violation));
    this.shownTotal += left;
    if (tracked.uid !== report.metadata.uid) {
      tracked.reported = isNew ? 0 : shown.occurrences;
      if (!isNew) tracked.balance -= left;
      tracked.uid = report.metadata.uid;
    }
    let balance = tracked.balance + left - (shown.occurrences - tracked.reported);
    tracked.reported = shown.occurrences;
    // Before that, what the report has more may have been counted before this replica read.
    if (this.#isSettled && balance < 0) {
      const found = Math.min(tracked.forgotten, -balance);
      tracked.forgotten -= found;
      balance += found;
    }
    // Alerts missing for this long were lost on their way: they must not offset those that the leader has not reported.
    const isLost = balance < 0 && ++tracked.statesBehind >= MAX_STATES_BEHIND;
    tracked.isCut = report.omitted !== undefined;
    this.#setBalance(tracked, this.#bound(tracked, isLost ? 0 : balance, isLost), shown);
  }

  /** Handles a deleted report; `report` is its last state. Alerts that are not in it go to a new one. */
  removed(report: Report): void {
    this.observe(report);
    const key = reportKey(report.metadata.namespace, report.policy.name);
    const tracked = this.#report(report.metadata.namespace, report.policy.name);
    tracked.reported = 0;
    tracked.uid = undefined;
    this.#setBalance(tracked, 0, undefined);
    tracked.uncertain.clear();
    tracked.forgotten = 0;
    if (tracked.cells.size === 0) this.#reports.delete(key);
  }

  /** True while alerts of the report are held; `key` as of reportKey. */
  holds(key: string): boolean {
    return (this.#reports.get(key)?.cells.size ?? 0) > 0;
  }

  /** Keys of the reports for which alerts are held (reportKey). */
  *listHeldKeys(): Iterable<string> {
    for (const [key, { cells }] of this.#reports) if (cells.size > 0) yield key;
  }

  /** Records that this replica has read every alert of later reports: none from before is on its way. */
  settle(): void {
    this.#isSettled = true;
    for (const tracked of this.#reports.values())
      this.#setBalance(tracked, tracked.uncertain.settle(tracked.balance), undefined);
  }

  /** Drains all held alerts, report by report, except those that `reports` show. */
  drain(reports: ReportedUntilIndex): Iterable<ReportTakeover> {
    const all = this.#reports;
    this.takenOverTotal += this.held;
    this.#reports = new Map();
    this.#cells.clear();
    this.held = this.#shownKept = 0;
    return this.#createTakeovers(all, reports);
  }

  *#createTakeovers(all: Map<string, Tracked>, reports: ReportedUntilIndex): Iterable<ReportTakeover> {
    for (const [key, tracked] of all) {
      // Its memory is free for the ledger that takes the alerts.
      all.delete(key);
      const own = leave(tracked, (violation) => reports.untilOwn(violation)).alerts;
      // Counts of a namespace that is gone may have been moved; they are in the balance of no report.
      const moved = leave(tracked, (violation) => reports.until(violation)).alerts;
      this.shownTotal += own + moved;
      this.takenOverTotal -= own + moved;
      const { namespace, policyName, forgotten } = tracked;
      const known = tracked.balance + own;
      const left = this.#isSettled ? known : tracked.uncertain.settle(known);
      const balance = forgotten > 0 ? Math.max(0, left) + forgotten : left;
      const cells = [...tracked.cells.values()];
      if (cells.length > 0 || balance !== 0) yield { namespace, policyName, alerts: listAlerts(cells), balance };
    }
    for (const { namespace, policyName, alerts } of this.forgotten.drain())
      yield { namespace, policyName, alerts: [], balance: alerts };
  }

  #report(namespace: string | undefined, policyName: string): Tracked {
    const key = reportKey(namespace, policyName);
    let report = this.#reports.get(key);
    if (!report) {
      const cells = new Map<string, Cell>();
      const nothing = { uid: undefined, reported: 0, balance: 0, statesBehind: 0, shown: undefined, isCut: false };
      const uncertain = new UncertainAlerts(this.#newest);
      report = { namespace, policyName, cells, ...nothing, uncertain, forgotten: this.forgotten.take(key) };
      this.#reports.set(key, report);
    }
    return report;
  }

  /** Returns a balance after a state of the report: an upper bound where it is unknown, as `isUnknown` says. */
  #bound({ uncertain }: Tracked, balance: number, isUnknown: boolean): number {
    if (!this.#isSettled) return balance;
    return isUnknown ? uncertain.settle(balance) : uncertain.reduce(balance);
  }

  /** True where the balance is exact: it is not known to be too much, nor going to be set to 0. */
  #isExact({ balance, uncertain }: Tracked): boolean {
    return this.#isSettled && uncertain.excess === 0 && balance >= 0;
  }

  /** True for an alert that may be missing in a report with a time as new. */
  #isUncertain(tracked: Tracked, key: string, us: EpochUs, isDated: boolean): boolean {
    if (this.#isExact(tracked)) return false;
    return tracked.uncertain.see(tracked.isCut ? "" : key, us) || !isDated;
  }

  /** Removes the alerts that a report shows; returns their number. */
  #leave(tracked: Tracked, getUntil: (violation: ViolationFacts) => EpochUs): number {
    const { alerts, cells } = leave(tracked, getUntil);
    for (const cell of cells) this.#cells.delete(cell);
    this.held -= alerts;
    return alerts;
  }

  #setBalance(tracked: Tracked, balance: number, shown: ReportedUntil | undefined): void {
    tracked.balance = balance;
    if (balance >= 0) tracked.statesBehind = 0;
    if (tracked.shown !== undefined) this.#shownKept--;
    tracked.shown = balance < 0 && this.#shownKept < MAX_SHOWN_KEPT ? shown : undefined;
    if (tracked.shown !== undefined) this.#shownKept++;
    if (this.#isExact(tracked)) tracked.uncertain.forgetTimes();
  }

  /** Evicts a share of the alerts of the cell that was seen least recently, the oldest first. */
  #evict(share: number): void {
    for (const cell of this.#cells) {
      const { key, report, times } = cell;
      const count = Math.ceil(times.length * share);
      times.splice(0, count);
      this.held -= count;
      this.forgottenTotal += count;
      report.forgotten += count;
      if (times.length > 0) return;
      report.cells.delete(key);
      this.#cells.delete(cell);
      if (report.cells.size === 0 && report.uid === undefined) this.#forget(report);
      return;
    }
  }

  /** Keeps of a report that is not stored only the number of its evicted alerts. */
  #forget({ namespace, policyName, forgotten, uncertain }: Tracked): void {
    const key = reportKey(namespace, policyName);
    uncertain.clear();
    this.#reports.delete(key);
    this.forgotten.add(key, { namespace, policyName, alerts: forgotten });
  }
}
