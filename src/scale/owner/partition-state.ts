// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The counts of one partition: messages of the stream, in its order, added to the ledgers of the partition's reports.
// Invariant: pure and deterministic. A message is added to a report only if its sequence is beyond the report's mark, so
// that no message is counted twice, whichever process adds it.

import { addGap } from "../../aggregate/absorb-counts.ts";
import type { Aggregator } from "../../aggregate/aggregator.ts";
import { createCoverageGap, isSameGap } from "../../aggregate/counts/coverage-gap.ts";
import { SetNumbers } from "../../aggregate/counts/set-numbers.ts";
import type { Totals } from "../../aggregate/counts/totals.ts";
import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import { type EpochUs, toEpochUs } from "../../lib/time.ts";
import type { Checkpoint } from "../messages/checkpoint.ts";
import {
  countOccurrences,
  type Delta,
  type GapNotice,
  type Notice,
  type RejectedNotice,
  type ReportDelta,
  SKEW_US,
  toCounted,
} from "../messages/delta.ts";
import { type DecodedDelta, decodeDelta } from "../messages/delta-codec.ts";
import { type Arrival, SequenceTracker } from "../messages/sequence-tracker.ts";
import type { ShardTracker } from "../messages/shard-tracker.ts";
import type { StreamMessage } from "../stream/bus.ts";
import { declareGap, LOSS } from "./gap-notice.ts";

/** Numbers a set of counts by the position in the stream up to which a report holds all messages. */
export class PositionNumbers extends SetNumbers {
  /** Sequence of the last message that was added. */
  position = 0;

  override close(): number {
    return this.position;
  }
}

/** Occurrences and messages of one owner since it began. */
export class PartitionCounters {
  messages = 0;
  added = 0;
  /** Occurrences that are known to be missing. */
  lost = 0;
  /** Occurrences of namespaces that are gone, which go to cluster reports. */
  moved = 0;
  /** Occurrences beyond the bound on reports. */
  refused = 0;
  readonly skipped = { duplicate: 0, foreign: 0, version: 0, other_stream: 0 };
}

export interface PartitionParts {
  stream: string;
  aggregator: Aggregator;
  numbers: PositionNumbers;
  shards: ShardTracker;
  /** Marks of the stored reports, by reportKey. */
  marks: ReadonlyMap<string, number>;
  checkpoint: Checkpoint;
  /** Missing messages have no older alerts, as far as that is known. */
  sinceUs: EpochUs;
  counters: PartitionCounters;
  /** Called where messages of the partition are missing, which was noticed at `seq`. */
  onLoss: (gap: GapNotice, seq: number) => void;
  /** Queues a report whose coverage has changed. */
  onCoverage: (key: string) => void;
  onSkipped: (reason: keyof PartitionCounters["skipped"], detail: string) => void;
  onThrottled: (notice: (Notice & { type: "throttle" })["notice"]) => void;
}

export class PartitionState {
  readonly shards: ShardTracker;
  readonly #parts: PartitionParts;
  readonly #sources: SequenceTracker;

  constructor(parts: PartitionParts) {
    this.#parts = parts;
    this.#sources = new SequenceTracker(parts.checkpoint.sources);
    this.shards = parts.shards;
    parts.numbers.position = parts.checkpoint.position;
  }

  /** Sequence of the last message that was added or skipped. */
  get position(): number {
    return this.#parts.numbers.position;
  }

  /** Moves on to a position up to which the stream has no further message of the partition. */
  skipTo(position: number): void {
    const { numbers } = this.#parts;
    numbers.position = Math.max(numbers.position, position);
  }

  snapshot(): Checkpoint {
    return { position: this.position, sources: this.#sources.snapshot(), ...this.shards.snapshot() };
  }

  /** Adds the next message. Never throws. */
  apply({ seq, atMs, bytes }: StreamMessage): void {
    const { counters, numbers } = this.#parts;
    counters.messages++;
    const decoded = decodeDelta(bytes);
    if (decoded.kind === "delta") this.#add(decoded.delta, seq, atMs);
    else this.#skip(decoded, seq, atMs);
    // After the message is added as a whole: a set of counts is taken between two messages.
    numbers.position = seq;
  }

  /** Messages up to `toMs` were removed from the stream before they were read, or may have been. */
  declareLoss(toMs: number): void {
    this.#addGap({ ...LOSS, fromUs: null, toUs: toEpochUs(toMs) }, this.position + 1);
  }

  /** Ends gaps that lasted when the stored reports were written, and of which the stream has no end. */
  endUnknownGaps(nowMs: number): void {
    const open = new Set(this.shards.open);
    for (const [key, ledger] of this.#parts.aggregator.ledgers)
      for (const gap of ledger.counts.all.coverageGaps) {
        if (gap.toUs !== undefined || (gap.kind === DOWN.kind && open.has(gap.fromUs))) continue;
        addGap(ledger, { ...gap, toUs: Math.max(toEpochUs(nowMs), gap.fromUs) }, false);
        this.#parts.onCoverage(key);
      }
  }

  #skip({ kind, detail }: Exclude<DecodedDelta, { kind: "delta" }>, seq: number, atMs: number): void {
    this.#count(kind, detail);
    // Messages of other programs are not counted as missing.
    if (kind === "version") this.#addGap({ ...LOSS, fromUs: toEpochUs(atMs), toUs: toEpochUs(atMs) }, seq);
  }

  #count(reason: keyof PartitionCounters["skipped"], detail: string): void {
    this.#parts.counters.skipped[reason]++;
    this.#parts.onSkipped(reason, detail);
  }

  #add(delta: Delta, seq: number, atMs: number): void {
    const { stream } = this.#parts;
    const occurrences = countOccurrences(delta.reports);
    if (delta.stream !== stream) {
      this.#count("other_stream", `was built for the stream ${delta.stream}`);
      this.#declareLost({ occurrences, fromUs: undefined }, delta, seq);
      return;
    }
    const arrival = this.#sources.accept({ ...delta, occurrences, atMs });
    if (arrival.kind === "duplicate") {
      this.#count("duplicate", `of ${delta.source}`);
      return;
    }
    // Missing messages without an occurrence may have held notices.
    if (arrival.kind === "after_gap") this.#declareLost(arrival, delta, seq);
    const begun = delta.reports.filter((report) => this.#addReport(report, seq));
    for (const report of begun) this.#inheritGaps(report);
    for (const notice of delta.notices) this.#addNotice(notice, seq);
    this.#updateShards(delta, { seq, atMs }, begun);
  }

  /** Returns true where the report begins with it. */
  #addReport(report: ReportDelta, seq: number): boolean {
    const { namespace, policyName, policy, totals } = report;
    const key = reportKey(namespace, policyName);
    if (!this.#isBeyondMark(key, seq)) return false;
    const { aggregator, counters } = this.#parts;
    const before = aggregator.ledgers.get(key)?.counts.all.occurrences ?? 0;
    const counts = { namespace, policyName, policy, totals, entries: toCounted(report) };
    if (aggregator.absorb(counts)) counters.added += totals.occurrences;
    else this.#refuse(report, seq);
    return before === 0;
  }

  /** Declares in a report that begins the gaps that were declared before, but ended after its first alert. */
  #inheritGaps({ namespace, policyName, totals: { firstUs } }: ReportDelta): void {
    const ledger = this.#parts.aggregator.ledgers.get(reportKey(namespace, policyName));
    if (ledger) for (const gap of this.shards.listEndedAfter(firstUs)) declareGap(ledger, gap, firstUs);
  }

  /** Ends gaps whose shard is read again, or has another holder; those that last begin in reports that do. */
  #updateShards(
    { shards, source, untilUs }: Delta,
    { seq, atMs }: { seq: number; atMs: number },
    begun: readonly ReportDelta[],
  ): void {
    for (const fromUs of this.shards.update(shards, { source, atMs, untilUs }))
      this.#addGap({ ...DOWN, fromUs, toUs: untilUs }, seq, ({ all }) =>
        all.coverageGaps.some((gap) => isSameGap(gap, { kind: DOWN.kind, fromUs }) && gap.toUs === undefined),
      );
    const keys = new Set(begun.map(({ namespace, policyName }) => reportKey(namespace, policyName)));
    if (keys.size === 0) return;
    for (const fromUs of this.shards.open)
      this.#addGap({ ...DOWN, fromUs, toUs: null }, seq, ({ key }) => keys.has(key));
  }

  /** There is no room for the report: others of its namespace say how many alerts have none. */
  #refuse({ namespace, totals: { occurrences: count, lastUs: atUs } }: ReportDelta, seq: number): void {
    this.#parts.counters.refused += count;
    this.#addRejected({ type: "rejected", scope: { namespace }, count, atUs }, seq);
  }

  #declareLost({ occurrences: count = 0, fromUs }: Lost, { untilUs }: Delta, seq: number): void {
    this.#parts.counters.lost += count;
    this.#addGap({ ...LOSS, fromUs: fromUs === undefined ? null : fromUs - SKEW_US, toUs: untilUs, count }, seq);
  }

  #addNotice(notice: Notice, seq: number): void {
    const { aggregator, onThrottled } = this.#parts;
    switch (notice.type) {
      case "gap":
        this.#parts.counters.lost += notice.count;
        this.#addGap(notice, seq);
        return;
      case "throttle":
        aggregator.gaps.addThrottleNotice(notice.notice, (key) => this.#isBeyondMark(key, seq));
        onThrottled(notice.notice);
        return;
      case "rejected":
        this.#addRejected(notice, seq);
    }
  }

  #addGap(
    gap: GapNotice,
    seq: number,
    isConcerned: (report: { key: string; all: Totals }) => boolean = () => true,
  ): void {
    // A report that begins later has no alert from which messages could be missing.
    const isLoss = gap.kind === LOSS.kind;
    this.shards.onGap(isLoss ? { ...gap, fromUs: gap.fromUs ?? this.#parts.sinceUs } : gap);
    for (const [key, ledger] of this.#ledgersBeyondMark(seq)) {
      const { all } = ledger.counts;
      if (!isConcerned({ key, all })) continue;
      declareGap(ledger, gap, all.lastUs);
      this.#parts.onCoverage(key);
    }
    // Readers send the other kinds to all partitions.
    if (isLoss) this.#parts.onLoss(gap, seq);
  }

  #addRejected({ scope, count, atUs }: RejectedNotice, seq: number): void {
    const gap = createCoverageGap("Rejected", atUs, { toUs: atUs, count });
    for (const [key, ledger] of this.#ledgersBeyondMark(seq)) {
      if (scope && scope.namespace !== ledger.namespace) continue;
      ledger.gaps.addMissing("rejected", count, [gap]);
      this.#parts.onCoverage(key);
    }
  }

  *#ledgersBeyondMark(seq: number): Iterable<[string, Ledger]> {
    for (const [key, ledger] of this.#parts.aggregator.ledgers) {
      if (this.#isBeyondMark(key, seq)) yield [key, ledger];
    }
  }

  /** False where the stored report holds the message already. */
  #isBeyondMark(key: string, seq: number): boolean {
    return seq > (this.#parts.marks.get(key) ?? 0);
  }
}

/** Occurrences that are missing, as far as that is known. */
type Lost = Pick<Arrival & { kind: "after_gap" }, "occurrences" | "fromUs">;

const DOWN = { type: "gap", kind: "NodeDown", nodes: 0, count: 0 } as const;
