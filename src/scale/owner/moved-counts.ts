// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Moves the counts of namespaces that are gone, and gaps of their partition, to the cluster report of the same policy,
// which another process may own.
//
//   namespace gone ──▶ counts drained, with their position ──▶ cluster report
//   messages missing ──▶ gap, with its position ──▶ every cluster report that may have counts of the partition
//
// Invariant: nothing is moved twice. Another process that has moved counts of this partition ends the life of this one.

import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { runInTurns } from "../../lib/pacing/steps.ts";
import { parseMoved } from "../../reconcile/namespaces/moved-annotation.ts";
import type { GapNotice } from "../messages/delta.ts";
import { isMovedBy, toGapsEntry } from "./moved-marks.ts";
import { MovedReport, type MovedReportParts } from "./moved-report.ts";
import { RecentPositions } from "./recent-positions.ts";

export interface MovedCountsParts extends Omit<MovedReportParts, "findKept" | "onStored" | "isOvertaken"> {
  /** Positions up to which reports, or counts and gaps that were moved, are stored; by reportKey. */
  marks: ReadonlyMap<string, number>;
  /** Policies with a cluster report that may have moved counts. */
  policies: Iterable<string>;
  /** True for a report in memory, which gets the gaps of the partition anyway. */
  hasLedger: (key: string) => boolean;
  onMovedByAnother: () => void;
  /** Ends all writes. */
  signal: AbortSignal;
}

/** Violations that wait for one report; beyond it they wait in the ledgers of their namespaces. */
const MAX_WAITING = 5_000;

interface Target {
  report: MovedReport;
  running: Promise<void>;
}

export class MovedCounts {
  /** Everything up to this position is in stored reports: no owner asks for it again. */
  checkpointed: number;
  readonly #parts: MovedCountsParts;
  readonly #policies: Set<string>;
  /** Reports that do not have all that was moved, by policy. */
  readonly #targets = new Map<string, Target>();
  /** Positions that were stored from here, by reportKey. */
  readonly #stored = new RecentPositions<number>();
  #isOver = false;

  constructor(checkpointed: number, parts: MovedCountsParts) {
    this.checkpointed = checkpointed;
    this.#parts = parts;
    this.#policies = new Set(parts.policies);
  }

  /** Policies whose cluster report does not have all that was moved. */
  get pending(): Iterable<string> {
    return this.#targets.keys();
  }

  /** True where the report of the policy takes no counts now, because too many wait already. */
  isFull(policyName: string): boolean {
    const known = this.#targets.get(policyName);
    return known !== undefined && known.report.size > MAX_WAITING;
  }

  /** Takes the unwritten counts of a ledger that gets no further ones: they are all of its namespace up to now. */
  take(from: Ledger): void {
    const { namespace, policyName, counts } = from;
    // Without a count none can be missing.
    if (namespace === undefined || counts.unwritten === 0) {
      void runInTurns(
        from.transfer.drainInSteps(() => {}),
        this.#parts.clock,
      );
      return;
    }
    this.#policies.add(policyName);
    const set = { namespace, from, position: this.#parts.getPosition() };
    this.#change(policyName, (report) => report.addSet(set));
  }

  /** Declares a gap that was noticed at `seq`, wherever counts were moved. */
  declare(gap: GapNotice, seq: number): void {
    const { marks, partition, hasLedger } = this.#parts;
    const entry = toGapsEntry(partition.index);
    for (const policyName of this.#policies) {
      const isStored = seq <= (marks.get(reportKey(entry, policyName)) ?? 0);
      if (isStored || hasLedger(reportKey(undefined, policyName))) continue;
      this.#change(policyName, (report) => report.addGap({ gap, seq }));
    }
  }

  /** Writes everything now, until nothing is left or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    const targets = [...this.#targets];
    await Promise.all(
      targets.map(async ([policyName, target]) => {
        await target.running;
        if (this.#targets.get(policyName) === target) await this.#write(policyName, target.report, signal);
      }),
    );
  }

  #change(policyName: string, change: (report: MovedReport) => void): void {
    const known = this.#targets.get(policyName);
    if (known) {
      change(known.report);
      return;
    }
    const report = this.#createReport(policyName);
    change(report);
    const target = { report, running: Promise.resolve() };
    this.#targets.set(policyName, target);
    target.running = this.#write(policyName, report, this.#parts.signal);
  }

  #createReport(policyName: string): MovedReport {
    const { stream } = this.#parts;
    return new MovedReport(policyName, {
      ...this.#parts,
      findKept: (report) => this.#findKept(report),
      onStored: (positions) => {
        for (const [entry, position] of positions) this.#stored.set(reportKey(entry, policyName), position);
      },
      isOvertaken: (report, committed) => {
        if (report && this.#hasForeignCounts(report, parseMoved(report.metadata, stream), committed)) {
          this.#isOver = true;
          this.#parts.onMovedByAnother();
        }
        return this.#isOver;
      },
    });
  }

  async #write(policyName: string, report: MovedReport, signal: AbortSignal): Promise<void> {
    if (await report.write(signal)) this.#targets.delete(policyName);
  }

  /** True where the report has counts or gaps of this partition that were not moved from here. */
  #hasForeignCounts(
    { policy: { name } }: Report,
    found: ReadonlyMap<string, number>,
    committed?: ReadonlyMap<string, number>,
  ): boolean {
    const { marks, partition } = this.#parts;
    return [...found].some(([entry, position]) => {
      const key = reportKey(entry, name);
      const known = Math.max(this.#stored.get(key) ?? marks.get(key) ?? 0, committed?.get(entry) ?? 0);
      return isMovedBy(partition, entry, name) && position > known;
    });
  }

  /** Returns the positions in a report that owners may need. */
  #findKept({ metadata, policy: { name } }: Report): Map<string, number> {
    const { stream, partition } = this.#parts;
    const positions = parseMoved(metadata, stream);
    for (const [entry, position] of positions)
      if (position <= this.checkpointed && isMovedBy(partition, entry, name)) positions.delete(entry);
    return positions;
  }
}
