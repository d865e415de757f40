// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One report's counters: committed (in the stored report), in flight (in a write without a result yet) and pending (in
// no report yet). Invariant: every counted alert is in exactly one of the three. take moves pending to in flight,
// commit moves that to committed, restore moves it back; merge makes the order of these irrelevant. Counts in flight
// never change.

import type { Occurrence } from "../ingest/occurrence.ts";
import { type Identity, reportName, type Violation } from "../ingest/violation.ts";
import { assert } from "../lib/assert.ts";
import type { EpochUs } from "../lib/time.ts";
import { CellCounter } from "./cell-counter.ts";
import type { ChangeLog, OpenSet } from "./change-log.ts";
import type { CoverageGap, GapKind } from "./coverage-gap.ts";
import { SubjectCounts } from "./distinct-subjects.ts";
import {
  type Base,
  type Counted,
  countWritten,
  type Entry,
  NO_SWEEP,
  type RecoveredSet,
  sumOccurrences,
} from "./entry.ts";
import { expireEntries } from "./expiry.ts";
import { EntryMap, MemoryUsage } from "./memory-usage.ts";
import { addGaps, OpenGaps } from "./open-gaps.ts";
import { PendingCounts } from "./pending-counts.ts";
import { selectLowest } from "./ranking.ts";
import { SetNumbers } from "./set-numbers.ts";
import { emptyTally, mergeInto } from "./tally.ts";
import { clearExpiry, emptyTotals, KnownPolicy, mergeExpired, mergeTotals, type Totals } from "./totals.ts";

export interface LedgerParts {
  /** Notes every change, for a journal. */
  log?: ChangeLog | undefined;
  /** Counts what is held. */
  meter?: MemoryUsage;
  /** Numbers the sets of counts. */
  numbers?: SetNumbers;
  /** Called when a cell begins to count. */
  onCounting?: (ledger: Ledger) => void;
}

export class Ledger {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly name: string;
  readonly policy = new KnownPolicy();
  readonly entries: EntryMap;
  /** Whom the report's alerts were about. */
  readonly reach: SubjectCounts;
  /** Distinct violations that the stored report counted. */
  violationsFloor = 0;
  /** Bytes that this report may have; smaller than configured once the server has refused that size. */
  maxBytes = Number.POSITIVE_INFINITY;
  /** The set of counts of which the writer knows that it is to be taken. */
  scheduledSeq = 0;
  /** Changes that the journal lacks; undefined without a journal. */
  readonly log: ChangeLog | undefined;
  readonly #numbers: SetNumbers;
  /** Names what is pending: the number of the set of counts that the next take puts in flight. Only ever grows. */
  #pendingSeq: number;
  #inFlightSeq = 0;
  #committed = emptyTotals();
  #inFlight: Totals | undefined;
  readonly #pending: PendingCounts;
  #inFlightEntries = new Set<Entry>();
  /** Occurrences that are in the totals but in no entry. */
  #unidentified = 0;
  #touched = false;
  /** True when the last sweep found nothing that is young enough to stay. */
  #isOver = false;
  readonly #coverageGaps = new OpenGaps();
  #sweep = 0;
  #writtenInSweep = NO_SWEEP;

  constructor(namespace: string | undefined, policyName: string, parts: LedgerParts = {}) {
    const { meter = new MemoryUsage(), onCounting = () => {} } = parts;
    this.log = parts.log;
    this.#numbers = parts.numbers ?? new SetNumbers();
    this.#pendingSeq = this.#numbers.next();
    this.entries = new EntryMap(meter);
    this.#pending = new PendingCounts({
      cells: meter.cells,
      policy: this.policy,
      entries: this.entries,
      log: this.log,
      onCounting: () => onCounting(this),
    });
    this.reach = new SubjectCounts(namespace);
    this.namespace = namespace;
    this.policyName = policyName;
    this.name = reportName(policyName);
  }

  get unwritten(): number {
    return this.#pending.totals.occurrences + (this.#inFlight?.occurrences ?? 0);
  }

  /** True where a write has a purpose: a count, a gap, a throttle notice, or another state of the stream. */
  get dirty(): boolean {
    const p = this.#pending.totals;
    return (
      this.#touched ||
      p.occurrences + p.gaps + p.throttleNotices + p.rejected + p.withoutDetails + p.coverageGaps.length > 0
    );
  }

  /** True where pending counts have a violation that no report of this ledger had before. */
  get hasNewViolation(): boolean {
    for (const entry of this.#pending.entries) if (!entry.committed) return true;
    return false;
  }

  get isInFlight(): boolean {
    return this.#inFlight !== undefined;
  }

  /** The number of the set in flight; it names these very counts for as long as the report lives. */
  get inFlightSeq(): number {
    assert(this.#inFlight, "a set is in flight");
    return this.#inFlightSeq;
  }

  get pendingSeq(): number {
    return this.#pendingSeq;
  }

  /** Records that the stored report holds the sets up to `seq`, of an earlier process. */
  markPersisted(seq: number): void {
    if (seq > 0) this.log?.markPersisted(seq);
    this.advanceSeq(seq);
  }

  /** Renumbers what is pending where an earlier process may have used its number. */
  advanceSeq(seq: number): void {
    this.#numbers.skip(seq);
    if (seq < this.#pendingSeq) return;
    this.#pendingSeq = this.#numbers.next();
    // The journal may know what is pending by its old number.
    this.resetLog();
  }

  /** Restores sets of an earlier process: the oldest in flight, as it may have been sent, the others pending. */
  recover(sets: readonly RecoveredSet[]): void {
    const [oldest, ...younger] = sets;
    if (!oldest) return;
    const before = this.#unidentified;
    assert(!this.#inFlight, "one write per report at a time");
    for (const { policy, totals } of sets) this.policy.recover(policy, totals.lastUs);
    this.advanceSeq(sets.at(-1)?.seq ?? 0);
    this.#inFlightSeq = oldest.seq;
    this.#inFlight = oldest.totals;
    for (const counted of oldest.entries) {
      const entry = this.entries.get(counted.key) ?? this.#newEntry(counted);
      entry.inFlight = counted.tally;
      this.#inFlightEntries.add(entry);
      this.reach.addTally(counted.identity, counted.tally);
    }
    for (const { totals, entries } of younger) this.absorb(totals, entries);
    this.#unidentified = this.#countUnidentified();
    // Any of the violations may be short of what was journaled without details.
    if (this.#unidentified > before) for (const entry of this.entries.values()) entry.lowerBound = true;
  }

  openSets(): { inFlight: OpenSet | undefined; pending: OpenSet } {
    const inFlight = this.#inFlight && { seq: this.#inFlightSeq, totals: this.#inFlight };
    return { inFlight, pending: { seq: this.#pendingSeq, totals: this.#pending.totals } };
  }

  /** Has the journal delete the report's rows and write all that is pending again. */
  resetLog(): void {
    this.log?.reset(this.#inFlightEntries, this.#pending.entries);
  }

  /** The totals that a report written now would have: committed and in flight. */
  get totals(): Totals {
    return this.#inFlight ? mergeTotals(this.#committed, this.#inFlight) : this.#committed;
  }

  /** The entries of the write in flight, for Events. */
  get inFlightEntries(): ReadonlySet<Entry> {
    return this.#inFlightEntries;
  }

  /** Everything that was ever counted, written or not. */
  get all(): Totals {
    return mergeTotals(this.totals, this.#pending.totals);
  }

  /** Counts one alert and returns its entry; `identify: false` (the memory bound is reached) counts it in totals only. */
  add(occurrence: Occurrence, identify: boolean): Entry | undefined {
    const { violation } = occurrence;
    this.reach.see(violation);
    const entry = this.entries.get(violation.key) ?? (identify ? this.#newEntry(violation) : undefined);
    this.#pending.add(occurrence, entry);
    if (entry) return entry;
    this.#unidentified++;
    this.#coverageGaps.addWithoutDetails(this.#pending.totals, occurrence.timeUs, 1);
    return undefined;
  }

  /** Has a cell count for a violation from now on; returns its counter. */
  countIn(cell: number, violation: Violation): CellCounter {
    this.reach.see(violation);
    const entry = this.entries.get(violation.key) ?? this.#newEntry(violation);
    return new CellCounter(cell, this.#pending, entry, violation);
  }

  /** Adds throttle notices about a subject of this report, or alerts that may belong here and could not be read. */
  addMissing(what: "throttleNotices" | "rejected", count: number, gaps: readonly CoverageGap[]): void {
    this.#pending.totals[what] += count;
    addGaps(this.#pending.totals, gaps);
  }

  /** Records a time without reading for this report; without `toUs` it lasts until endGap. */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs): void {
    this.#coverageGaps.addGap(this.#pending.totals, kind, fromUs, toUs);
  }

  /** Ends the gap, if it is one of this report's. Returns whether it is. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes?: number): boolean {
    return this.#coverageGaps.endGap(this.#pending.totals, kind, fromUs, toUs, nodes);
  }

  /** Ends gaps that another process has left open, at `us`; returns whether there are any. */
  endUnknownGaps(us: EpochUs): boolean {
    return this.#coverageGaps.endUnknown(this.#pending.totals, this.totals.coverageGaps, us);
  }

  /** Removes what was last seen before `beforeUs` and not written within `keptSweeps`; returns the number. */
  expire(beforeUs: EpochUs, keptSweeps = 0): number {
    this.#pending.takeCellCounts();
    const keptSweep = ++this.#sweep - keptSweeps;
    const gone = expireEntries(this.entries, beforeUs, keptSweep, this.policy);
    this.#unidentified += gone.occurrences;
    this.#pending.totals.expired = mergeExpired(this.#pending.totals.expired, gone);
    const isOld = this.#committed.lastUs < beforeUs && this.#writtenInSweep < keptSweep;
    this.#isOver = this.#committed.occurrences > 0 && isOld && this.unwritten === 0 && !this.#inFlight;
    if (this.#isOver || gone.violations > 0) this.#touched = true;
    return gone.violations;
  }

  /** True when all of the stored report is older than the retention, and no alert came since. */
  get isOver(): boolean {
    return this.#isOver && this.unwritten === 0 && !this.#inFlight;
  }

  /** Forgets the `count` lowest ranked of a workload, for want of memory at `us`; returns how many it could. */
  forget(workload: string, count: number, us: EpochUs): number {
    this.#pending.takeCellCounts();
    // Occurrences of violations unknown count as one violation.
    const more = this.totals.expired.violations + Math.sign(this.#unidentified);
    const known = countWritten(this.entries) + more;
    const least = selectLowest(this.entries.values(), workload, count);
    for (const entry of least) {
      this.policy.raiseSeverity(entry.severity);
      this.entries.delete(entry.key);
      this.#pending.entries.delete(entry);
      this.log?.left(entry);
      const occurrences = sumOccurrences([entry]);
      this.#unidentified += occurrences;
      this.#coverageGaps.addWithoutDetails(this.#pending.totals, us, occurrences);
    }
    if (least.length > 0) this.violationsFloor = Math.max(this.violationsFloor, known);
    return least.length;
  }

  /** Moves the counts of an entry to another, between writes. */
  moveCounts(from: Entry, to: Entry): void {
    if (this.#pending.entries.delete(from)) this.#pending.entries.add(to);
    to.takeCounts(from);
  }

  /** Asks for a write that brings no counts. */
  touch(): void {
    this.#touched = true;
  }

  /** Moves what is pending in flight. Until commit or restore nothing more can be taken. */
  take(): void {
    assert(!this.#inFlight, "one write per report at a time");
    this.#coverageGaps.settle(this.#pending.totals);
    this.#inFlight = this.#pending.totals;
    this.#inFlightSeq = this.#numbers.close(this.#pendingSeq);
    this.#pendingSeq = this.#numbers.next();
    this.#touched = false;
    for (const entry of this.#pending.entries) {
      entry.inFlight = entry.pending;
      entry.pending = undefined;
    }
    this.#inFlightEntries = this.#pending.entries;
    this.#pending.clear();
    this.log?.taken();
  }

  /** The write is known to have happened. */
  commit(): void {
    assert(this.#inFlight, "commit follows take");
    this.#isOver = false;
    if (this.#inFlight.occurrences > 0) this.#writtenInSweep = this.#sweep;
    this.#committed = mergeTotals(this.#committed, this.#inFlight);
    for (const entry of this.#inFlightEntries) {
      const { inFlight } = entry;
      if (inFlight) entry.committed = entry.committed ? mergeInto(entry.committed, inFlight) : inFlight;
      entry.inFlight = undefined;
      entry.writtenInSweep = this.#sweep;
      this.entries.updateBytes(entry);
    }
    this.#inFlight = undefined;
    this.#inFlightEntries = new Set();
    this.log?.markPersisted(this.#inFlightSeq);
  }

  /** The write is known not to have happened. */
  restore(): void {
    assert(this.#inFlight, "restore follows take");
    this.#pending.totals = mergeTotals(this.#inFlight, this.#pending.totals);
    this.#touched = true;
    for (const entry of this.#inFlightEntries) {
      const { inFlight } = entry;
      if (inFlight) entry.pending = entry.pending ? mergeInto(inFlight, entry.pending) : inFlight;
      entry.inFlight = undefined;
      this.#pending.entries.add(entry);
    }
    this.#inFlight = undefined;
    this.#inFlightEntries = new Set();
    this.resetLog();
  }

  /** Takes a stored report as what is committed; without one (it was deleted) counting starts again from zero. */
  rebase(base: Base | undefined, deletedUs?: EpochUs): void {
    const open = new Set([...this.#inFlightEntries, ...this.#pending.entries]);
    this.entries.clear();
    for (const entry of base?.entries ?? []) this.entries.set(entry.key, entry);
    const unlisted: Entry[] = [];
    for (const entry of open) {
      const stored = this.entries.get(entry.key);
      entry.committed = stored?.committed;
      entry.lowerBound = stored?.lowerBound ?? false;
      if (!stored) unlisted.push(entry);
      this.entries.set(entry.key, entry);
    }
    if (!base)
      this.#coverageGaps.startAgain(this.#pending.totals, this.#inFlight, this.#committed, deletedUs);
    this.#committed = base?.totals ?? emptyTotals();
    // Entries that the stored report lists have not expired from it.
    this.#pending.totals = clearExpiry(this.#pending.totals);
    if (this.#inFlight) this.#inFlight = clearExpiry(this.#inFlight);
    this.#isOver = false;
    this.#unidentified = this.#countUnidentified();
    for (const entry of unlisted) entry.lowerBound = this.#unidentified > 0;
    this.violationsFloor = base?.violations ?? 0;
    this.reach.recount(base, this.entries.values());
  }

  /** Gives away everything that no stored report holds; nothing of it is open any more. */
  drain(): { totals: Totals; entries: Counted[] } {
    if (this.#inFlight) this.restore();
    this.#coverageGaps.settle(this.#pending.totals);
    const totals = clearExpiry(this.#pending.totals);
    const entries: Counted[] = [];
    for (const entry of this.#pending.entries) {
      const { key, identity, pending: tally } = entry;
      if (tally) entries.push({ key, identity, tally });
      entry.pending = undefined;
      if (entry.committed) this.entries.updateBytes(entry);
      else this.entries.delete(key);
    }
    this.#pending.clear();
    this.#unidentified = this.#countUnidentified();
    return { totals, entries };
  }

  /** Takes over what a ledger drained; the entries must be keyed for this one. */
  absorb(totals: Totals, entries: Iterable<Counted>): void {
    this.#pending.totals = mergeTotals(this.#pending.totals, totals);
    let identified = 0;
    for (const { key, identity, tally } of entries) {
      const entry = this.entries.get(key) ?? this.#newEntry({ key, identity });
      entry.pending = mergeInto(entry.pending ?? emptyTally(), tally);
      this.entries.updateBytes(entry);
      this.#pending.entries.add(entry);
      this.reach.addTally(identity, tally);
      identified += tally.occurrences;
    }
    this.#unidentified += totals.occurrences - identified;
    this.resetLog();
  }

  #newEntry({ key, identity }: { key: string; identity: Identity }): Entry {
    return this.entries.begin(key, identity, this.#unidentified > 0);
  }

  #countUnidentified(): number {
    return this.all.occurrences - sumOccurrences(this.entries.values());
  }
}
