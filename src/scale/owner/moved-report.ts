// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The cluster report of one policy, as far as it gets counts and gaps from one partition.
//
//   counts, gaps ──▶ waiting ──▶ read the report ──▶ write both with their positions ──▶ stored
//                                      ▲                       │
//                                      └── someone else wrote ◀┘
//
// Invariant: a write brings counts and gaps together with their positions, and leaves the mark of the report's owner as it
// is. That one sees a report that it did not write, with its own mark, and continues on it.

import { moveNamespace } from "../../aggregate/absorb-counts.ts";
import { type CoverageGap, isGapKind, isSameGap } from "../../aggregate/counts/coverage-gap.ts";
import { SetNumbers } from "../../aggregate/counts/set-numbers.ts";
import { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { Report } from "../../api/v1alpha1.ts";
import type { Clock } from "../../lib/clock.ts";
import { runInTurns, type Steps } from "../../lib/pacing/steps.ts";
import { type EpochUs, parseMicroTime, toEpochUs } from "../../lib/time.ts";
import { MovedPositions, setMoved } from "../../reconcile/namespaces/moved-annotation.ts";
import type { ReconcilerParts } from "../../reconcile/reconciler-parts.ts";
import { ReportReconciler } from "../../reconcile/report-reconciler.ts";
import { toReportRef } from "../../reconcile/write-attempt.ts";
import { rebaseOn } from "../../report/parse.ts";
import { overrideSink } from "../../sinks/guarded-sink.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";
import type { GapNotice } from "../messages/delta.ts";
import { declareGap, LOSS } from "./gap-notice.ts";
import { isMovedBy, isOfOtherStream, MOVED_ID, type Partition, toGapsEntry } from "./moved-marks.ts";

/** Counts of one namespace on their way to the report. */
export interface MovedSet {
  namespace: string;
  /** Gets no further counts. */
  from: Ledger;
  /** Position in the stream up to which these are all counts of the namespace. */
  position: number;
}

/** A gap of the partition on its way to the report, which was noticed at a position of the stream. */
export interface MovedGap {
  gap: GapNotice;
  seq: number;
}

export interface MovedReportParts
  extends Pick<ReconcilerParts, "sink" | "clock" | "logger" | "render" | "onResult" | "onWritten"> {
  /** Position in the stream now. */
  getPosition: () => number;
  partition: Partition;
  stream: string;
  /** Positions in the stored report that owners may need. */
  findKept: (report: Report) => Map<string, number>;
  onStored: (positions: ReadonlyMap<string, number>) => void;
  /** True where another process has moved counts of this partition: nothing is written any more. */
  isOvertaken: (report?: Report, committed?: ReadonlyMap<string, number>) => boolean;
}

/** Between two writes of counts to one report. */
const INTERVAL_MS = 5_000;
const MAX_NUMBER = 1e15;
const OVERTAKEN = { kind: "retry", message: "another process has moved the counts" } as const;

/** Numbers that no other process draws. */
class RandomNumbers extends SetNumbers {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override close(): number {
    return 1 + Math.floor(this.#clock.random() * (MAX_NUMBER - 1));
  }
}

export class MovedReport {
  readonly #parts: MovedReportParts;
  readonly #ledger: Ledger;
  readonly #reconciler: ReportReconciler;
  /** Not yet in the ledger. */
  #sets: MovedSet[] = [];
  #gaps: MovedGap[] = [];
  readonly #positions = new MovedPositions();

  constructor(policyName: string, parts: MovedReportParts) {
    const { clock } = parts;
    this.#parts = parts;
    this.#ledger = new Ledger(undefined, policyName, { numbers: new RandomNumbers(clock) });
    this.#reconciler = new ReportReconciler(this.#ledger, {
      ...parts,
      sink: this.#mark(parts.sink),
      writerId: MOVED_ID,
      rebase: (_, report) => this.#rebase(report),
      // One write a report, beside the queue of the others.
      spend: () => {},
      onTaking: () => {
        this.#positions.take();
        return undefined;
      },
      onRemoved: () => {},
    });
  }

  /** Violations that wait, or are in the report as far as it is known. */
  get size(): number {
    return this.#sets.reduce((sum, { from }) => sum + from.entries.size, this.#ledger.entries.size);
  }

  addSet(set: MovedSet): void {
    this.#sets.push(set);
  }

  /** Declares the gap if the report has counts of the partition. */
  addGap(gap: MovedGap): void {
    this.#gaps.push(gap);
  }

  /** Writes until nothing is left, or the signal aborts; returns true where nothing is. */
  async write(signal: AbortSignal): Promise<boolean> {
    const { clock, isOvertaken } = this.#parts;
    while (!signal.aborted && !isOvertaken()) {
      const afterMs = await this.#writeOnce(signal);
      if (this.#isDone) return true;
      await clock.sleep(afterMs, signal);
    }
    return this.#isDone;
  }

  get #isDone(): boolean {
    const { write, counts } = this.#ledger;
    // A gap alone makes no report, and of a report that was deleted meanwhile nothing else is left.
    const isNeeded = write.isNeeded && counts.all.occurrences > 0;
    return !isNeeded && !write.isInFlight && this.#sets.length + this.#gaps.length === 0;
  }

  /** Returns the time after which more may be written. */
  async #writeOnce(signal: AbortSignal): Promise<number> {
    if (!(await this.#absorb(signal))) return this.#reconciler.retry.nextMs();
    const result = await this.#reconciler.reconcile(true, signal);
    if (result.kind === "requeue") return this.#reconciler.retry.nextMs(result.afterMs);
    if (result.kind !== "written") return INTERVAL_MS;
    this.#reconciler.retry.reset();
    this.#parts.onStored(this.#positions.inFlight);
    this.#positions.inFlight.clear();
    return INTERVAL_MS;
  }

  /** Adds what waits on top of the stored report; false where that can't be read now. */
  async #absorb(signal: AbortSignal): Promise<boolean> {
    const { sink, clock, partition, stream, getPosition, isOvertaken } = this.#parts;
    const ledger = this.#ledger;
    if (this.#sets.length + this.#gaps.length === 0) return true;
    const isBased = this.#reconciler.metadata !== undefined || ledger.write.isInFlight;
    const read = isBased && this.#gaps.length === 0 ? undefined : await sink.read(toReportRef(ledger), signal);
    if (read && read.kind !== "found" && read.kind !== "absent") return false;
    const report = read?.kind === "found" && read.report.policy.name === ledger.policyName ? read.report : undefined;
    if (report && !isBased) {
      await runInTurns(this.#rebase(report), clock);
      this.#reconciler.resume(report.metadata);
    }
    if (isOvertaken()) return false;
    // The annotation says so only until it is written.
    if (report && isOfOtherStream(report.metadata, stream))
      declareGap(ledger, { ...LOSS, fromUs: null, toUs: toEpochUs(clock.nowMs()) }, ledger.counts.all.lastUs);
    const lastUs = this.#findLastOwn(report);
    for (let [set] = this.#sets; set; [set] = this.#sets) {
      await runInTurns(this.#addCounts(set), clock);
      this.#sets.shift();
    }
    for (const { gap, seq } of this.#gaps.splice(0)) {
      if (lastUs === undefined) continue;
      declareGap(ledger, gap, lastUs);
      this.#positions.raise(toGapsEntry(partition.index), Math.min(seq, getPosition()));
    }
    return true;
  }

  /** The position goes with the last of the counts. Nothing is taken between the steps. */
  *#addCounts({ namespace, from, position }: MovedSet): Steps {
    const ledger = this.#ledger;
    const known = ledger.counts.all.coverageGaps;
    const isNew = (gap: CoverageGap) => isGapKind(gap.kind) && !known.some((one) => isSameGap(one, gap));
    ledger.policy.recover(from.policy.facts(), from.transfer.unwritten.lastUs);
    yield* from.transfer.drainInSteps((totals, entries) => {
      const gaps = Math.min(totals.gaps, totals.coverageGaps.filter(isNew).length);
      const moved = entries.map((counted) => moveNamespace(counted, namespace));
      ledger.transfer.absorb({ ...totals, gaps }, moved);
    });
    this.#positions.raise(namespace, position);
  }

  /** Time of the newest alert that was moved, at least; undefined where the report has none. */
  #findLastOwn(report: Report | undefined): EpochUs | undefined {
    const times = (report?.violations ?? []).flatMap(({ namespace, lastSeen }) =>
      namespace !== undefined && isMovedBy(this.#parts.partition, namespace, this.#ledger.policyName)
        ? (parseMicroTime(lastSeen) ?? [])
        : [],
    );
    if (times.length > 0) return Math.max(...times);
    // Violations that are not listed may be of the partition.
    if (report?.omitted) return parseMicroTime(report.summary.firstSeen) ?? 0;
    const waiting = this.#sets.map(({ from }) => from.transfer.unwritten);
    if (this.#ledger.counts.unwritten > 0) waiting.push(this.#ledger.counts.all);
    return waiting.length > 0 ? Math.min(...waiting.map((totals) => totals.lastUs)) : undefined;
  }

  *#rebase(report: Report | undefined): Steps {
    // This process has stored the counts that it has just committed.
    const committed = this.#ledger.write.isInFlight ? new Map<string, number>() : this.#positions.inFlight;
    if (!report || !this.#parts.isOvertaken(report, committed)) yield* rebaseOn(this.#ledger, report);
  }

  /** Writes the positions with the counts. */
  #mark(sink: ReportSink): ReportSink {
    return overrideSink(sink, {
      write: async (report, signal) => {
        const { findKept, isOvertaken, stream } = this.#parts;
        if (isOvertaken()) return OVERTAKEN;
        const positions = findKept(report);
        for (const [entry, position] of this.#positions.inFlight) positions.set(entry, position);
        return await sink.write({ ...report, metadata: setMoved(report.metadata, stream, positions) }, signal);
      },
    });
  }
}
