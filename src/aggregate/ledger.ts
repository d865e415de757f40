// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One report's counters: committed (in the stored report), in flight (in a write without a result yet) and pending (in no
// report yet). Invariant: every counted alert is in exactly one of the three, and what is in flight never changes. take
// moves pending to in flight, commit that to committed, restore back; merge makes their order irrelevant.

import type { Occurrence } from "../ingest/occurrence.ts";
import { reportName, type ViolationFacts } from "../ingest/violation.ts";
import { assert } from "../lib/assert.ts";
import { runAtOnce, type Steps } from "../lib/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import type { ChangeLog, OpenSet, PendingSet } from "./change-log.ts";
import { type Base, type Counted, type RecoveredSet, sumOccurrences } from "./counted.ts";
import { SubjectCounts } from "./distinct-subjects.ts";
import type { Entry } from "./entry.ts";
import type { EntryMap } from "./entry-map.ts";
import { KnownPolicy } from "./known-policy.ts";
import type { LedgerParts } from "./ledger-parts.ts";
import { MemoryUsage } from "./memory-usage.ts";
import { OpenGaps } from "./open-gaps.ts";
import { ReportAge } from "./report-age.ts";
import { ReportEntries } from "./report-entries.ts";
import { SetNumbers } from "./set-numbers.ts";
import { clearExpiry, emptyTotals, isEmpty, mergeTotals, type Totals } from "./totals.ts";

export class Ledger {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly name: string;
  readonly policy = new KnownPolicy();
  readonly gaps: OpenGaps;
  /** Whom the report's alerts were about. */
  readonly reach: SubjectCounts;
  /** Distinct violations that the stored report counted. */
  violationsFloor = 0;
  /** Changes that the journal lacks; undefined without a journal. */
  readonly log: ChangeLog | undefined;
  readonly #numbers: SetNumbers;
  /** Names what is pending: the number of the set of counts that the next take puts in flight. Only ever grows. */
  #pendingSeq: number;
  #inFlightSeq = 0;
  #committed = emptyTotals();
  #inFlight: Totals | undefined;
  readonly #entries: ReportEntries;
  readonly #age = new ReportAge();
  #touched = false;

  constructor(namespace: string | undefined, policyName: string, parts: LedgerParts = {}) {
    const { meter = new MemoryUsage(), onCounting = () => {} } = parts;
    this.log = parts.log;
    this.#numbers = parts.numbers ?? new SetNumbers();
    this.#pendingSeq = this.#numbers.next();
    this.#entries = new ReportEntries({
      ...{ meter, policy: this.policy, log: this.log, onCounting },
      onEvicted: ({ occurrences, known, us }) => {
        this.gaps.addWithoutDetails(us, occurrences);
        this.violationsFloor = Math.max(this.violationsFloor, known + this.totals.expired.violations);
      },
    });
    this.gaps = new OpenGaps(this.#entries.pending);
    this.reach = new SubjectCounts(namespace, (bytes) => meter.addOther(bytes));
    this.namespace = namespace;
    this.policyName = policyName;
    this.name = reportName(policyName);
  }

  get entries(): EntryMap {
    return this.#entries.map;
  }

  get unwritten(): number {
    return this.#entries.pending.totals.occurrences + (this.#inFlight?.occurrences ?? 0);
  }

  /** True where a write has a purpose: a count, a gap, a throttle notice, or another state of the stream. */
  get dirty(): boolean {
    return this.#touched || !isEmpty(this.#entries.pending.totals);
  }

  /** True where pending counts have a violation that no report of this ledger had before. */
  get hasNewViolation(): boolean {
    return this.#entries.pending.haveNew;
  }

  /** Distinct violations that a report written now would list without a limit. */
  get listable(): number {
    return this.#entries.countWritten();
  }

  /** Distinct violations that a report written now would count, listed or not. */
  get violations(): number {
    return Math.max(this.violationsFloor, this.listable + this.totals.expired.violations);
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
    assert(!this.#inFlight, "one write per report at a time");
    const before = this.#entries.unidentified;
    for (const { policy, totals } of sets) this.policy.recover(policy, totals.lastUs);
    this.advanceSeq(sets.at(-1)?.seq ?? 0);
    this.#inFlightSeq = oldest.seq;
    this.#inFlight = oldest.totals;
    this.#entries.add(oldest.entries, "inFlight");
    for (const { identity, tally } of oldest.entries) this.reach.addTally(identity, tally);
    for (const { totals, entries } of younger) this.absorb(totals, entries);
    this.#entries.unidentified = this.#countUnidentified();
    // Any of the violations may be short of what was journaled without details.
    if (this.#entries.unidentified > before)
      for (const entry of this.entries.values()) entry.lowerBound = true;
  }

  openSets(): { inFlight: OpenSet | undefined; pending: PendingSet } {
    const pending = { seq: this.#pendingSeq, counts: this.#entries.pending };
    return { inFlight: this.#inFlight && { seq: this.#inFlightSeq, totals: this.#inFlight }, pending };
  }

  /** Has the journal delete the report's rows and write all that is pending again. */
  resetLog(): void {
    this.log?.reset(this.#entries.inFlight, this.#entries.pending.entries);
  }

  /** The totals that a report written now would have: committed and in flight. */
  get totals(): Totals {
    return this.#inFlight ? mergeTotals(this.#committed, this.#inFlight) : this.#committed;
  }

  /** The entries of the write in flight, for Events. */
  get inFlightEntries(): ReadonlySet<Entry> {
    return this.#entries.inFlight;
  }

  /** Everything that was ever counted, written or not. */
  get all(): Totals {
    return mergeTotals(this.totals, this.#entries.pending.totals);
  }

  /** Counts one alert and returns its entry; `identify: false` (the memory bound is reached) counts it in totals only. */
  add(occurrence: Occurrence, identify: boolean): Entry | undefined {
    const { violation } = occurrence;
    this.reach.see(violation);
    const entry = identify ? this.#entries.obtain(violation) : this.entries.get(violation.key);
    this.#entries.pending.add(occurrence, entry);
    if (entry) return entry;
    this.#entries.unidentified++;
    this.gaps.addWithoutDetails(occurrence.timeUs, 1);
    return undefined;
  }

  /** Has a cell count for a violation from now on; returns its counter. */
  countFor(violation: ViolationFacts): Entry {
    this.reach.see(violation);
    return this.#entries.obtain(violation);
  }

  /** Removes what was last seen before `beforeUs` and not written within `keptSweeps`; returns the number. */
  *expire(beforeUs: EpochUs, keptSweeps = 0): Steps<number> {
    const keptSweep = this.#age.begin(keptSweeps);
    this.violationsFloor = this.violations;
    const gone = yield* this.#entries.expire(beforeUs, keptSweep);
    this.#age.end(this.#committed, beforeUs, keptSweep);
    if (this.isOver || gone > 0) this.#touched = true;
    return gone;
  }

  /** True when all of the stored report is older than the retention, and no alert came since. */
  get isOver(): boolean {
    return this.#age.isOver && this.unwritten === 0 && !this.#inFlight;
  }

  /** Moves the counts of an entry to another, between writes. */
  moveCounts(from: Entry, to: Entry): void {
    this.#entries.moveCounts(from, to);
  }

  /** Asks for a write that brings no counts. */
  touch(): void {
    this.#touched = true;
  }

  /** Moves what is pending in flight. Until commit or restore nothing more can be taken. */
  take(): void {
    assert(!this.#inFlight, "one write per report at a time");
    this.gaps.settle();
    this.#inFlight = this.#entries.pending.totals;
    this.#inFlightSeq = this.#numbers.close(this.#pendingSeq);
    this.#pendingSeq = this.#numbers.next();
    this.#touched = false;
    this.#entries.take();
    this.log?.taken();
  }

  /** Takes counts of cells ahead of a take, which then takes the few that came meanwhile. */
  takeCells(): Steps {
    return this.#entries.pending.takeCells();
  }

  /** The write is known to have happened. */
  commit(): void {
    runAtOnce(this.commitInSteps());
  }

  /** Commits as commit does. Between the steps alerts may be added, but nothing taken or put back. */
  *commitInSteps(): Steps {
    assert(this.#inFlight, "commit follows take");
    this.#age.recordWrite(this.#inFlight);
    yield* this.#entries.commit(this.#age.sweep);
    this.#committed = mergeTotals(this.#committed, this.#inFlight);
    this.#inFlight = undefined;
    this.log?.markPersisted(this.#inFlightSeq);
  }

  /** The write is known not to have happened. */
  restore(): void {
    assert(this.#inFlight, "restore follows take");
    this.#entries.pending.totals = mergeTotals(this.#inFlight, this.#entries.pending.totals);
    this.#touched = true;
    this.#entries.restore();
    this.#inFlight = undefined;
    this.resetLog();
  }

  /** Takes a stored report as what is committed; without one (it was deleted) counting starts again from zero. */
  rebase(base: Base | undefined, deletedUs?: EpochUs): void {
    this.reach.recount(base, [...this.#entries.inFlight, ...this.#entries.pending.entries]);
    const unlisted = this.#entries.rebase(base?.entries ?? []);
    if (!base) this.gaps.startAgain(this.#inFlight, this.#committed, deletedUs);
    this.#committed = base?.totals ?? emptyTotals();
    this.#clearExpiry();
    if (this.#entries.pending.totals.withoutDetails + (this.#inFlight?.withoutDetails ?? 0) === 0)
      this.policy.severityFloor = 0;
    this.#age.isOver = false;
    this.#entries.unidentified = this.#countUnidentified();
    for (const entry of unlisted) entry.lowerBound = this.#entries.unidentified > 0;
    this.violationsFloor = base?.violations ?? 0;
  }

  /** Gives away everything that no stored report holds; nothing of it is open any more. */
  drain(): { totals: Totals; entries: Counted[] } {
    if (this.#inFlight) this.restore();
    this.gaps.settle();
    this.#clearExpiry();
    const { totals } = this.#entries.pending;
    const entries = this.#entries.drain();
    this.#entries.unidentified = this.#countUnidentified();
    return { totals, entries };
  }

  /** Takes over what a ledger drained; the entries must be keyed for this one. */
  absorb(totals: Totals, entries: readonly Counted[]): void {
    this.#entries.pending.totals = mergeTotals(this.#entries.pending.totals, totals);
    const identified = this.#entries.add(entries, "pending");
    for (const { identity, tally } of entries) this.reach.addTally(identity, tally);
    this.#entries.unidentified += totals.occurrences - identified;
    this.resetLog();
  }

  /** Clears what left the stored report's list, of sets that another base follows. */
  #clearExpiry(): void {
    const { pending, inFlight } = this.#entries;
    pending.totals = clearExpiry(pending.totals, sumOccurrences(pending.entries, "pending"));
    if (this.#inFlight) this.#inFlight = clearExpiry(this.#inFlight, sumOccurrences(inFlight, "inFlight"));
  }

  #countUnidentified(): number {
    runAtOnce(this.takeCells());
    return this.all.occurrences - sumOccurrences(this.entries.values());
  }
}
