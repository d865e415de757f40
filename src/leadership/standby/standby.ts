// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Standby: reads while another replica writes, keeps the alerts that no report has yet, and hands them over at a
// takeover. Invariant: an alert that a stored report has is not handed over.

import type { Report } from "../../api/v1alpha1.ts";
import type { AlertTally } from "../../ingest/alert-tally.ts";
import { MAX_AHEAD_US } from "../../ingest/decode.ts";
import type { Occurrence } from "../../ingest/occurrence.ts";
import type { ThrottleNotice } from "../../ingest/violation/violation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { StandbyBuffers } from "../../lib/collections/buffer-use.ts";
import { parseMicroTime } from "../../lib/time.ts";
import { isNamedRight } from "../../report/parse.ts";
import type { ReportedUntilIndex } from "../../report/reported-until.ts";
import type { ReportObserver } from "../../sinks/report-sink.ts";
import { type ReportTakeover, UnreportedAlerts, type UnreportedLimits } from "./unreported-alerts.ts";

export interface StandbyParts {
  clock: Pick<Clock, "nowMs" | "monotonicMs">;
  /** Records a throttle notice in the reports; called at a takeover. */
  addThrottleNotice: (notice: ThrottleNotice) => void;
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

/** Notices kept for a takeover; at the bound the oldest leaves. */
const MAX_NOTICES = 10_000;

interface KeptNotice {
  addAgain: () => void;
  /** Monotonic. */
  atMs: number;
}

export class Standby implements AlertTally, ReportObserver {
  /** Each alert is compared with what reports show. */
  readonly countsCells = false;
  readonly unreported: UnreportedAlerts;
  readonly #parts: StandbyParts;
  /** Notices that the leader adds to its reports, besides alerts. */
  readonly #notices = new Set<KeptNotice>();
  #lostNotices = 0;
  readonly #listed = new Set<Report["kind"]>();
  #isOver = false;
  /** By how much this clock is behind that of a replica that wrote a report; 0 where it may be right. */
  clockBehindUs = 0;

  constructor(limits: UnreportedLimits, parts: StandbyParts) {
    this.#parts = parts;
    this.unreported = new UnreportedAlerts(limits);
  }

  add(occurrence: Occurrence, isDated: boolean): boolean {
    this.unreported.add(occurrence, isDated);
    return true;
  }

  addThrottleNotice(notice: ThrottleNotice): number {
    this.keep(() => this.#parts.addThrottleNotice(notice));
    return 0;
  }

  /** Keeps a notice for a takeover, unless the leader has persisted it by then. */
  keep(addAgain: () => void): void {
    this.#notices.add({ addAgain, atMs: this.#parts.clock.monotonicMs() });
    const [oldest] = this.#notices;
    if (this.#notices.size <= MAX_NOTICES || oldest === undefined) return;
    this.#notices.delete(oldest);
    this.#lostNotices++;
  }

  /** Forgets notices from before `ms` (monotonic): the leader has persisted them. */
  forgetNotices(ms: number): void {
    for (const notice of this.#notices) {
      if (notice.atMs >= ms) return;
      this.#notices.delete(notice);
    }
  }

  get buffers(): StandbyBuffers {
    const notices = { size: this.#notices.size, overflows: this.#lostNotices };
    return { standby_notices: notices, standby_reports: this.unreported.forgotten };
  }

  onStored(report: Report, how: "listed" | "changed"): void {
    this.#compareClocks(report);
    if (!this.#isOver && isNamedRight(report)) this.unreported.observe(report, how === "changed");
  }

  onListed(kind: Report["kind"]): void {
    this.#listed.add(kind);
  }

  onRemoved(report: Report): void {
    if (!this.#isOver && isNamedRight(report)) this.unreported.removed(report);
  }

  /** Handles the state of a stored report at the takeover. */
  onTakenOver(report: Report): void {
    this.#compareClocks(report);
    this.unreported.observe(report, this.#listed.has(report.kind));
  }

  #compareClocks({ summary }: Report): void {
    const aheadUs = (parseMicroTime(summary.lastSeen) ?? 0) - this.#parts.clock.nowMs() * 1000;
    // A replica with the same time has believed nothing beyond that.
    if (aheadUs > MAX_AHEAD_US) this.clockBehindUs = Math.max(this.clockBehindUs, aheadUs);
  }

  /** This replica has also read everything that the leader has yet to write. */
  settle(): void {
    if (!this.#isOver) this.unreported.settle();
  }

  /** Ends: returns what it holds and `shown` lacks, and adds the notices since `sinceMs` (monotonic) again. */
  handOver(shown: ReportedUntilIndex, sinceMs: number): Iterable<ReportTakeover> {
    this.#isOver = true;
    // A notice twice says no more than once; a notice that is missing would hide that numbers are too low.
    for (const { addAgain, atMs } of this.#notices) if (atMs >= sinceMs) addAgain();
    this.#notices.clear();
    return this.unreported.drain(shown);
  }
}
