// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Folds violations into ledgers, one per report, and remembers who was throttled.
// Invariant: adding never fails and never waits; at the memory bound an alert is still counted in its report's totals.

import type { CellStore } from "../ingest/cells/cell-store.ts";
import type { ReportRejection } from "../ingest/ingest-counters.ts";
import type { Occurrence } from "../ingest/occurrence.ts";
import { reportKey, type ThrottleNotice } from "../ingest/violation/violation.ts";
import { runAtOnce, type Steps, VISITS_PER_STEP } from "../lib/pacing/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import { absorbCounts, type DrainedCounts, moveNamespace } from "./absorb-counts.ts";
import { AggregateStats } from "./aggregate-stats.ts";
import { countNewGaps } from "./counts/coverage-gap.ts";
import { SetNumbers } from "./counts/set-numbers.ts";
import { emptyTotals, mergeTotals } from "./counts/totals.ts";
import { ReportGaps } from "./gaps/report-gaps.ts";
import { ThrottledSubjects } from "./gaps/throttled-subjects.ts";
import type { Urgency } from "./gaps/urgency.ts";
import { ChangeLog } from "./ledger/change-log.ts";
import { Ledger } from "./ledger/ledger.ts";
import { LedgerMap } from "./ledger/ledger-map.ts";
import { MemoryBudget, type MemoryLimits } from "./memory-budget.ts";
import { ReportQuota } from "./report-quota.ts";

export class Aggregator {
  readonly ledgers = new LedgerMap();
  readonly gaps: ReportGaps;
  readonly stats: AggregateStats;
  /** Deleted reports that the journal still has rows of, each with the ledger that took its pending counts. */
  readonly removed = new Map<string, Ledger | undefined>();
  readonly #memory: MemoryBudget;
  readonly #quota: ReportQuota;
  readonly #isJournaled: boolean;
  readonly #cells: CellStore | undefined;
  readonly countsCells = true;
  readonly #onDirty: (key: string, urgency: Urgency) => void;
  readonly #throttled = new ThrottledSubjects();
  readonly #numbers: SetNumbers;
  readonly #scheduledSeqs = new WeakMap<Ledger, number>();

  /**
   * `journal` numbers the sets of counts; ledgers take note of changes unless it keeps none. `cells` count alerts. `run` runs
   * steps over all reports; default: at once.
   */
  constructor(
    limits: MemoryLimits,
    onDirty: (key: string, urgency: Urgency) => void,
    journal?: { numbers: SetNumbers; keepsNone?: boolean },
    { cells, run = runAtOnce }: { cells?: CellStore | undefined; run?: (steps: Steps) => void } = {},
  ) {
    this.#memory = new MemoryBudget(limits, cells);
    this.gaps = new ReportGaps(this.#throttled, { ledgers: this.ledgers, onDirty, run });
    this.stats = new AggregateStats(this.ledgers, this.#memory);
    this.#quota = new ReportQuota(limits);
    this.#cells = cells;
    this.#onDirty = onDirty;
    this.#isJournaled = journal !== undefined && journal.keepsNone !== true;
    this.#numbers = journal?.numbers ?? new SetNumbers();
  }

  /** Counts one alert; false where there is no room for its report. */
  add(occurrence: Occurrence): boolean {
    const { violation, timeUs, cell } = occurrence;
    const key = reportKey(violation.namespace, violation.policyName);
    const isNewReport = !this.ledgers.has(key);
    if (isNewReport && this.#quota.findRefusal(violation.namespace)) return false;
    const ledger = this.ledger(violation.namespace, violation.policyName);
    const isNew = !ledger.entries.has(violation.key);
    const identify = !isNew || this.#memory.tryReserve(ledger, violation.identity, timeUs);
    if (!identify) this.stats.withoutDetails++;
    this.#throttled.inherit(ledger, violation);
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
    return this.#quota.findRefusal(namespace);
  }

  /** Once for each set of counts. */
  #recordCounters(ledger: Ledger): void {
    if (this.#scheduledSeqs.get(ledger) === ledger.sets.pending) return;
    this.#scheduledSeqs.set(ledger, ledger.sets.pending);
    this.#onDirty(reportKey(ledger.namespace, ledger.policyName), "counters");
  }

  /** Adds counts that another process has counted; false where there is no room for its report. */
  absorb(counts: DrainedCounts): boolean {
    const { namespace, policyName } = counts;
    const key = reportKey(namespace, policyName);
    const isNewReport = !this.ledgers.has(key);
    if (isNewReport && this.#quota.findRefusal(namespace)) return false;
    const { isNew, withoutDetails } = absorbCounts(this.ledger(namespace, policyName), counts, {
      memory: this.#memory,
      throttled: this.#throttled,
    });
    this.stats.withoutDetails += withoutDetails;
    this.#onDirty(key, isNewReport ? "new_report" : isNew ? "new_violation" : "counters");
    return true;
  }

  /** Marks every report that the throttled pod or node concerns as a lower bound; returns their number. */
  addThrottleNotice(notice: ThrottleNotice): number {
    return this.gaps.addThrottleNotice(notice);
  }

  /** Evicts violations that the memory has no room for, once a write of the report is over. */
  afterWrite(ledger: Ledger): void {
    this.#memory.afterWrite(ledger.counts.written.lastUs);
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
      this.stats.expired += gone;
      if (gone > 0 || ledger.isOver) this.#onDirty(key, "coverage");
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
      addDeclared: () => this.gaps.addDeclared(ledger),
      addLacking: () => this.gaps.addLacking(ledger),
    });
    this.ledgers.set(key, ledger);
    this.#quota.add(namespace);
    this.gaps.beginReport(key, ledger);
    return ledger;
  }

  /**
   * The namespace is gone: what its report has not written goes to the cluster report of the same policy, each
   * violation with the namespace's name. What was written went with the namespace. A gap that both reports know is one
   * gap; without a count none can be missing. Between the steps alerts of the namespace begin the
   * report again, and the cluster report takes nothing.
   */
  *moveToCluster(key: string): Steps {
    const from = this.ledgers.get(key);
    if (!from || from.namespace === undefined) return;
    const { namespace, policyName } = from;
    const { lastUs } = from.counts.all;
    this.detach(key);
    const clusterKey = reportKey(undefined, policyName);
    const isNewReport = !this.ledgers.has(clusterKey);
    let to: Ledger | undefined;
    let isNew = false;
    let waiting = emptyTotals();
    yield* from.transfer.drainInSteps((totals, entries) => {
      waiting = mergeTotals(waiting, totals);
      if (!to && waiting.occurrences === 0) return;
      to ??= this.#beginMove(key, from, Math.max(lastUs, waiting.lastUs));
      const { entries: known } = to;
      const counts = entries.map((counted) => moveNamespace(counted, namespace));
      isNew ||= counts.some(({ key }) => !known.has(key));
      const { all } = to.counts;
      // Beyond the bound of a list the numbers alone say how many are new.
      const listed = Math.min(waiting.gaps, countNewGaps(waiting.coverageGaps, all.coverageGaps));
      const gaps = Math.max(listed, waiting.gaps - all.gaps);
      to.transfer.absorb({ ...waiting, gaps }, counts);
      waiting = emptyTotals();
    });
    if (to) this.#onDirty(clusterKey, isNewReport ? "new_report" : isNew ? "new_violation" : "counters");
  }

  /** Returns the cluster report that the counts of a detached ledger go to. */
  #beginMove(key: string, from: Ledger, lastUs: EpochUs): Ledger {
    const to = this.ledger(undefined, from.policyName);
    this.gaps.addLacking(to);
    to.gaps.continueOpen(from.gaps);
    to.policy.recover(from.policy.facts(), lastUs);
    // Where the journal has forgotten the rows since, it may have those of another report in their place.
    if (this.removed.has(key)) this.removed.set(key, to);
    return to;
  }

  /**
   * Drops the ledger of a deleted report. Returns false where it has something to report: an alert came after the
   * deletion.
   */
  drop(key: string): boolean {
    const ledger = this.ledgers.get(key);
    if (!ledger || ledger.counts.unwritten > 0) return false;
    this.detach(key);
    ledger.transfer.discard();
    return true;
  }

  /** Gives a ledger away; the next alert begins another. */
  detach(key: string): void {
    const ledger = this.ledgers.get(key);
    if (!ledger) return;
    this.gaps.endReport(ledger);
    this.ledgers.delete(key);
    this.#quota.remove(ledger.namespace);
    if (this.#isJournaled) this.removed.set(key, undefined);
  }
}
