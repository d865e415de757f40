// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Coverage gaps, throttle notices and rejected alerts, declared in the reports that they may concern.
// Invariant: a report that may lack alerts says so, also where it begins after the gap. Where all reports are concerned,
// they get it in steps.

import { reportKey, type Scope, type ThrottleNotice } from "../../ingest/violation/violation.ts";
import type { Buffers } from "../../lib/collections/buffer-use.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type CoverageGap, type GapKind, isSameGap } from "../counts/coverage-gap.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { LedgerMap } from "../ledger/ledger-map.ts";
import { type DeclarationParts, Declarations } from "./declarations.ts";
import { type EarlyGap, EarlyGaps } from "./early-gaps.ts";
import { LateGaps } from "./late-gaps.ts";
import { getSpan, Rejections } from "./rejections.ts";
import type { ThrottledSubjects } from "./throttled-subjects.ts";
import type { Urgency } from "./urgency.ts";

/** Stands for the reports of all namespaces; no namespace has this name. */
const ANY = "*";

export class ReportGaps {
  /** Changes of the stream. */
  readonly late: LateGaps;
  readonly #ledgers: LedgerMap;
  readonly #throttled: ThrottledSubjects;
  readonly #onDirty: (key: string, urgency: Urgency) => void;
  readonly #rejections = new Rejections();
  readonly #early = new EarlyGaps();
  readonly #declarations: Declarations;

  constructor(throttled: ThrottledSubjects, parts: DeclarationParts) {
    this.#ledgers = parts.ledgers;
    this.#throttled = throttled;
    this.#onDirty = parts.onDirty;
    this.#declarations = new Declarations(parts);
    this.late = new LateGaps(parts);
  }

  get buffers(): Pick<Buffers, "early_gaps" | "rejection_scopes" | "stated_gaps" | "throttled_pods"> {
    return {
      early_gaps: this.#early,
      rejection_scopes: this.#rejections,
      stated_gaps: this.late.stated,
      throttled_pods: this.#throttled,
    };
  }

  /** Marks every report that has seen the throttled pod (or node) as a lower bound; returns how many there are. */
  addThrottleNotice(notice: ThrottleNotice, isConcerned = (_key: string) => true): number {
    const coverageGaps = this.#throttled.add(notice);
    let marked = 0;
    for (const [key, ledger] of this.#ledgers.listOfNamespace(notice.namespace)) {
      if (!ledger.subjects.concerns(notice.pod, notice.node) || !isConcerned(key)) continue;
      ledger.gaps.addMissing("throttleNotices", 1, coverageGaps);
      this.#onDirty(key, "counters");
      marked++;
    }
    return marked;
  }

  /**
   * Records a time without reading, from `fromUs` until `toUs` or endGap: every report that exists may lack alerts. With
   * `findFromUs` it begins in each as that says, and concerns no report without a time.
   */
  addGap(
    kind: GapKind,
    fromUs: EpochUs,
    toUs?: EpochUs,
    findFromUs: (ledger: Ledger) => EpochUs | undefined = () => fromUs,
  ): void {
    this.#declarations.declare((ledger) => {
      const ownUs = findFromUs(ledger);
      if (ownUs === undefined) return undefined;
      ledger.gaps.addGap(kind, ownUs, toUs);
      return "coverage";
    });
  }

  /** Ends the gaps that lasted when another process wrote them; as OpenGaps.endUnknown. */
  endUnknown(us: EpochUs, ended: readonly CoverageGap[]): void {
    this.#declarations.declare(({ gaps, counts }) =>
      gaps.endUnknown(counts.written.coverageGaps, us, ended) ? "coverage" : undefined,
    );
  }

  /**
   * Declares a gap in one report, which may begin with it; without `report` in every report that begins later. A report
   * that lists the gap does not get it again.
   */
  addGapTo(report: Pick<Ledger, "namespace" | "policyName"> | undefined, gap: EarlyGap): void {
    if (!report) this.#early.addToAll(gap);
    if (!report) return;
    const key = reportKey(report.namespace, report.policyName);
    const ledger = this.#ledgers.get(key);
    // Without a count the ledger may be dropped before the report begins.
    if (!ledger || ledger.counts.all.occurrences === 0) this.#early.add(key, gap);
    if (!ledger) return;
    this.addDeclared(ledger);
    if (ledger.counts.all.coverageGaps.some((known) => isSameGap(known, gap))) return;
    ledger.gaps.addGap(gap.kind, gap.fromUs, gap.toUs);
    this.#onDirty(key, "coverage");
  }

  /** All nodes are read again: reports that begin from now on have no gap; `nodes` were missing in the gap. */
  endNodeGap(fromUs: EpochUs, toUs: EpochUs, nodes: number): void {
    this.#early.removeFromAll("NodeDown", fromUs);
    this.#early.end("NodeDown", fromUs, toUs);
    this.late.endGap("NodeDown", fromUs, toUs, nodes);
  }

  /** The gap of this kind that addGap began at `fromUs`, or earlier in a report, is over. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs): void {
    this.#early.end(kind, fromUs, toUs);
    this.#declarations.declare(({ gaps }) => (gaps.endGap(kind, fromUs, toUs) ? "coverage" : undefined));
  }

  /**
   * Counts an alert that could not be read. `scope` is the part of its report that is known, undefined where nothing
   * is. `us` is undefined where the time of the alert is unknown (a line of a file). reportRejections adds it to the
   * reports.
   */
  addRejected(scope: Scope | undefined, us: EpochUs | undefined): void {
    if (this.#rejections.isFull) {
      this.#rejections.overflows++;
      this.reportRejections();
    }
    this.#rejections.add(scope, us);
  }

  /** Marks the reports that the alerts rejected since the last call may have belonged to. */
  reportRejections(): void {
    const all = this.#rejections.take(() => getSpan(this.#ledgers.values()));
    if (all.length === 0) return;
    const byNamespace = Map.groupBy(all, ({ scope }) => (scope ? scope.namespace : ANY));
    this.#declarations.declare(({ namespace, gaps }) => {
      const rejected = [ANY, namespace].flatMap((each) => byNamespace.get(each) ?? []);
      for (const { count, coverageGaps } of rejected) gaps.addMissing("rejected", count, coverageGaps);
      return rejected.length > 0 ? "coverage" : undefined;
    });
  }

  /** Adds to a report now what is being declared in all of them. */
  addDeclared(ledger: Ledger): void {
    this.#declarations.addTo(ledger);
    this.late.addNeeded(ledger);
  }

  /** Adds to a report that is being written all that it lacks. */
  addLacking(ledger: Ledger): void {
    this.#declarations.addTo(ledger);
    this.late.addTo(ledger);
  }

  /** Adds to a report what is being declared in all of them, and nothing later: it is given away. */
  endReport(ledger: Ledger): void {
    this.#declarations.end(ledger);
    this.late.end(ledger);
  }

  /** Adds to all reports now what they lack. */
  addLackingToAll(): void {
    for (const ledger of this.#ledgers.values()) this.addLacking(ledger);
    this.late.unstatedSinceMs = undefined;
  }

  /** Declares in a report that begins the gaps that are known before it. */
  beginReport(key: string, ledger: Ledger): void {
    this.#declarations.begin(ledger);
    this.late.begin(ledger);
    for (const { kind, fromUs, toUs } of this.#early.take(key)) ledger.gaps.addGap(kind, fromUs, toUs);
  }
}
