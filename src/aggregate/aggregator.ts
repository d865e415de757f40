// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Folds violations into ledgers, one per report, and remembers who was throttled.
// Invariant: adding never fails and never waits; at the memory bound an alert is still counted in its report's totals.

import type { CellStore } from "../ingest/cell-store.ts";
import type { ReportRejection } from "../ingest/ingest-counters.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import { reportKey, type Scope, type ThrottleNotice } from "../ingest/violation.ts";
import { type Steps, VISITS_PER_STEP } from "../lib/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import { absorbCounts, type DrainedCounts, moveNamespace } from "./absorb-counts.ts";
import { ChangeLog } from "./change-log.ts";
import type { GapKind } from "./coverage-gap.ts";
import { type EarlyGap, EarlyGaps } from "./early-gaps.ts";
import { Ledger } from "./ledger.ts";
import { LedgerMap } from "./ledger-map.ts";
import { MemoryBudget, type MemoryLimits } from "./memory-budget.ts";
import { MutedSubjects } from "./muted-subjects.ts";
import { getSpan, Rejections } from "./rejections.ts";
import { ReportShares } from "./report-shares.ts";
import { SetNumbers } from "./set-numbers.ts";
import { getGapUrgency, type Urgency } from "./urgency.ts";

/** Stands for the reports of all namespaces; no namespace has this name. */
const ANY = "*";

export class Aggregator {
  readonly ledgers = new LedgerMap();
  readonly #memory: MemoryBudget;
  readonly #shares: ReportShares;
  readonly #isJournaled: boolean;
  readonly #cells: CellStore | undefined;
  readonly countsCells = true;
  readonly #onDirty: (key: string, urgency: Urgency) => void;
  readonly #muted = new MutedSubjects();
  readonly #rejections = new Rejections();
  readonly #earlyGaps = new EarlyGaps();
  readonly #numbers: SetNumbers;
  readonly #scheduledSeqs = new WeakMap<Ledger, number>();
  readonly #removed = new Map<string, Ledger | undefined>();
  /** Alerts counted in totals only, because there was no memory for their violations. */
  unidentifiedTotal = 0;
  /** Violations that left their reports because they were not seen for the retention time. */
  expiredTotal = 0;

  /** `journal` numbers the sets of counts; ledgers take note of changes unless it keeps none. `cells` count alerts. */
  constructor(
    limits: MemoryLimits,
    onDirty: (key: string, urgency: Urgency) => void,
    journal?: { numbers: SetNumbers; keepsNone?: boolean },
    cells?: CellStore,
  ) {
    this.#memory = new MemoryBudget(limits, cells);
    this.#shares = new ReportShares(limits);
    this.#cells = cells;
    this.#onDirty = onDirty;
    this.#isJournaled = journal !== undefined && journal.keepsNone !== true;
    this.#numbers = journal?.numbers ?? new SetNumbers();
  }

  get violationsHeld(): number {
    return this.#memory.meter.violations;
  }

  /** An estimate of the heap that the violations take. */
  get bytesHeld(): number {
    return this.#memory.meter.bytesInAll;
  }

  /** Violations evicted for lack of memory. */
  get forgottenTotal(): number {
    return this.#memory.forgotten;
  }

  get unwrittenOccurrences(): number {
    let sum = 0;
    for (const ledger of this.ledgers.values()) sum += ledger.unwritten;
    return sum;
  }

  /** Counts one alert; false where there may be no report more. */
  add(occurrence: Occurrence): boolean {
    const { violation, timeUs, cell } = occurrence;
    const key = reportKey(violation.namespace, violation.policyName);
    const isNewReport = !this.ledgers.has(key);
    if (isNewReport && this.#shares.findRefusal(violation.namespace)) return false;
    const ledger = this.ledger(violation.namespace, violation.policyName);
    const isNew = !ledger.entries.has(violation.key);
    const identify = !isNew || this.#memory.tryReserve(ledger, violation.identity, timeUs);
    if (!identify) this.unidentifiedTotal++;
    this.#muted.inherit(ledger, violation);
    if (identify && cell && this.#cells && !this.#cells.isOwned(cell)) {
      this.#cells.setOwner(cell, ledger.countFor(violation), violation);
      this.#cells.count(cell, timeUs);
    } else ledger.add(occurrence, identify);
    if (isNewReport) this.#onDirty(key, "new_report");
    else if (isNew && identify) this.#onDirty(key, "new_violation");
    else this.#recordCounters(ledger);
    return true;
  }

  /** Returns why no report may begin in the namespace now; undefined where one may. */
  findRefusal(namespace: string | undefined): ReportRejection | undefined {
    return this.#shares.findRefusal(namespace);
  }

  /** Once for each set of counts. */
  #recordCounters(ledger: Ledger): void {
    if (this.#scheduledSeqs.get(ledger) === ledger.pendingSeq) return;
    this.#scheduledSeqs.set(ledger, ledger.pendingSeq);
    this.#onDirty(reportKey(ledger.namespace, ledger.policyName), "counters");
  }

  /** Adds counts that another process has counted; false where there may be no report more. */
  absorb(counts: DrainedCounts): boolean {
    const { namespace, policyName } = counts;
    const key = reportKey(namespace, policyName);
    const isNewReport = !this.ledgers.has(key);
    if (isNewReport && this.#shares.findRefusal(namespace)) return false;
    const { isNew, withoutDetails } = absorbCounts(this.ledger(namespace, policyName), counts, {
      memory: this.#memory,
      muted: this.#muted,
    });
    this.unidentifiedTotal += withoutDetails;
    this.#onDirty(key, isNewReport ? "new_report" : isNew ? "new_violation" : "counters");
    return true;
  }

  /** A write of the report has landed. */
  afterWrite(ledger: Ledger): void {
    this.#memory.afterWrite(ledger.totals.lastUs);
  }

  /** Marks every report that has seen the muted pod (or node) as a lower bound; returns how many there are. */
  addThrottleNotice(notice: ThrottleNotice, isConcerned = (_key: string) => true): number {
    const coverageGaps = this.#muted.add(notice);
    let marked = 0;
    for (const [key, ledger] of this.ledgers.of(notice.namespace)) {
      if (!ledger.reach.concerns(notice.pod, notice.node) || !isConcerned(key)) continue;
      ledger.gaps.addMissing("throttleNotices", 1, coverageGaps);
      this.#onDirty(key, "counters");
      marked++;
    }
    return marked;
  }

  /**
   * Records a time without reading, from `fromUs` until `toUs` or endGap: every report that exists (with `isConcerned`,
   * only those that it selects) may lack alerts.
   */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs, isConcerned?: (ledger: Ledger) => boolean): void {
    for (const [key, ledger] of this.ledgers) {
      if (isConcerned && !isConcerned(ledger)) continue;
      ledger.gaps.addGap(kind, fromUs, toUs);
      this.#onDirty(key, getGapUrgency(kind));
    }
  }

  /** Declares a gap in one report, which may begin with it; without `report` in every report that begins later. */
  addGapTo(report: Pick<Ledger, "namespace" | "policyName"> | undefined, gap: EarlyGap): void {
    if (!report) this.#earlyGaps.addToAll(gap);
    if (!report) return;
    const key = reportKey(report.namespace, report.policyName);
    const ledger = this.ledgers.get(key);
    // Without a count the ledger may be dropped before the report begins.
    if (!ledger || ledger.all.occurrences === 0) this.#earlyGaps.add(key, gap);
    if (!ledger) return;
    ledger.gaps.addGap(gap.kind, gap.fromUs, gap.toUs);
    this.#onDirty(key, "coverage");
  }

  /** All nodes are read again: reports that begin from now on have no gap; `nodes` were missing in the gap. */
  endNodeGap(fromUs: EpochUs, toUs: EpochUs, nodes: number): void {
    this.#earlyGaps.removeFromAll("NodeDown", fromUs);
    this.endGap("NodeDown", fromUs, toUs, nodes);
  }

  /** The gap of this kind that began at `fromUs` is over. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes?: number): void {
    this.#earlyGaps.end(kind, fromUs, toUs);
    for (const [key, ledger] of this.ledgers) {
      if (ledger.gaps.endGap(kind, fromUs, toUs, nodes)) this.#onDirty(key, getGapUrgency(kind));
    }
  }

  /**
   * Counts an alert that could not be read. `scope` is the part of its report that is known, undefined where nothing
   * is. `us` is undefined where the time of the alert is unknown (a line of a file). reportRejections adds it to the
   * reports.
   */
  addRejected(scope: Scope | undefined, us: EpochUs | undefined): void {
    if (this.#rejections.isFull) this.reportRejections();
    this.#rejections.add(scope, us);
  }

  /** Marks the reports that the alerts rejected since the last call may have belonged to. */
  reportRejections(): void {
    const all = this.#rejections.take(() => getSpan(this.ledgers.values()));
    const byNamespace = Map.groupBy(all, ({ scope }) => (scope ? scope.namespace : ANY));
    for (const [key, ledger] of this.ledgers) {
      const rejected = [ANY, ledger.namespace].flatMap((namespace) => byNamespace.get(namespace) ?? []);
      for (const { count, coverageGaps } of rejected) ledger.gaps.addMissing("rejected", count, coverageGaps);
      if (rejected.length > 0) this.#onDirty(key, "coverage");
    }
  }

  /** Removes violations beyond retention, as Ledger.expire; reports with nothing left are queued for removal. */
  *expire(beforeUs: EpochUs, keptSweeps: number): Steps {
    let visits = 0;
    for (const [key, ledger] of this.ledgers) {
      visits += 1 + ledger.entries.size;
      if (visits > VISITS_PER_STEP) {
        yield;
        visits = 0;
      }
      const gone = yield* ledger.expire(beforeUs, keptSweeps);
      this.expiredTotal += gone;
      if (gone > 0 || ledger.isOver) this.#onDirty(key, "coverage");
    }
  }

  /** Schedules every report for a write, because the state of the stream has changed. */
  touchAll(): void {
    for (const [key, ledger] of this.ledgers) {
      ledger.touch();
      this.#onDirty(key, "stream");
    }
  }

  /** The ledger of a report; made when there is none. */
  ledger(namespace: string | undefined, policyName: string): Ledger {
    const key = reportKey(namespace, policyName);
    const known = this.ledgers.get(key);
    if (known) return known;
    const ledger: Ledger = new Ledger(namespace, policyName, {
      log: this.#isJournaled ? new ChangeLog() : undefined,
      meter: this.#memory.meter,
      numbers: this.#numbers,
      onCounting: () => this.#recordCounters(ledger),
    });
    this.ledgers.set(key, ledger);
    this.#shares.add(namespace);
    for (const { kind, fromUs, toUs } of this.#earlyGaps.take(key)) ledger.gaps.addGap(kind, fromUs, toUs);
    return ledger;
  }

  /**
   * The namespace is gone: what its report has not written goes to the cluster report of the same policy, each
   * violation with the namespace's name. What was written went with the namespace. A gap that both reports know is one
   * gap; without a count there is nothing that could be short of some.
   */
  moveToCluster(key: string): void {
    const from = this.ledgers.get(key);
    if (!from || from.namespace === undefined) return;
    const namespace = from.namespace;
    const { totals, entries } = from.drain();
    this.#remove(key, from);
    if (totals.occurrences === 0) return;
    const clusterKey = reportKey(undefined, from.policyName);
    const isNewReport = !this.ledgers.has(clusterKey);
    const to = this.ledger(undefined, from.policyName);
    const counts = entries.map((counted) => moveNamespace(counted, namespace));
    const isNew = counts.some(({ key }) => !to.entries.has(key));
    to.policy.recover(from.policy.facts(), totals.lastUs);
    to.absorb({ ...totals, gaps: Math.max(0, totals.gaps - to.all.gaps) }, counts);
    if (this.#isJournaled) this.#removed.set(key, to);
    this.#onDirty(clusterKey, isNewReport ? "new_report" : isNew ? "new_violation" : "counters");
  }

  /**
   * Drops the ledger of a deleted report. Returns false where it has something to report: an alert came after the
   * deletion.
   */
  drop(key: string): boolean {
    const ledger = this.ledgers.get(key);
    if (!ledger || ledger.unwritten > 0) return false;
    this.#remove(key, ledger);
    return true;
  }

  /** Deleted reports that the journal still has rows of, each with the ledger that took its pending counts. */
  get removed(): ReadonlyMap<string, Ledger | undefined> {
    return this.#removed;
  }

  /** Forgets the removed reports: the journal has no rows of them any more. */
  clearRemoved(): void {
    this.#removed.clear();
  }

  #remove(key: string, ledger: Ledger): void {
    this.ledgers.delete(key);
    this.#shares.remove(ledger.namespace);
    ledger.entries.clear();
    ledger.reach.clear();
    if (this.#isJournaled) this.#removed.set(key, undefined);
  }
}
