// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One report's books: what is committed (stands in the stored report), in flight (in a write whose fate is open) and
// pending (nowhere yet).
// Invariant: every counted alert is in exactly one of the three. take moves pending to in flight, commit moves that to
// committed, restore moves it back; merge makes the order of these irrelevant. What is in flight never changes.

import { assert } from "../lib/assert.ts";
import type { ChangeLog, OpenSet } from "./change-log.ts";
import { Episode, type GapKind, type Lapse, lapse, mergeLapses } from "./coverage.ts";
import { type Base, type Counted, type Entry, occurrencesIn, type RecoveredSet } from "./entry.ts";
import { Reach } from "./reach.ts";
import { letGo } from "./retention.ts";
import { addAlert, emptyTally, mergeInto } from "./tally.ts";
import type { EpochUs } from "./time.ts";
import { countOutcome, emptyTotals, KnownPolicy, mergeTotals, type Totals, withoutExpiry } from "./totals.ts";
import { type Identity, reportName, type Sighting, violationId } from "./violation.ts";
import { WatchedMap } from "./watched-map.ts";

export class Ledger {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly name: string;
  readonly policy = new KnownPolicy();
  readonly entries = new WatchedMap<string, Entry>();
  /** Whom the report's alerts were about. */
  readonly reach: Reach;
  /** Distinct violations that the stored report counted. */
  violationsFloor = 0;
  /** Bytes that this report may have; smaller than configured once the server has refused that size. */
  maxBytes = Number.POSITIVE_INFINITY;
  /** What the journal has not been told; undefined where there is none. */
  readonly log: ChangeLog | undefined;
  /** Names what is pending: the number of the set of counts that the next take puts in flight. Only ever grows. */
  #pendingSeq: number;
  #inFlightSeq = 0;
  #committed = emptyTotals();
  #inFlight: Totals | undefined;
  #pending = emptyTotals();
  #pendingEntries = new Set<Entry>();
  #inFlightEntries = new Set<Entry>();
  /** Occurrences that are in the totals but in no entry. */
  #unidentified = 0;
  #touched = false;
  /** Whether the last sweep found nothing that is young enough to stay. */
  #isOver = false;
  /** Beginnings of the gaps that this ledger knows of and that have not ended. */
  readonly #openGaps = new Map<GapKind, EpochUs>();
  readonly #withoutDetails = new Episode("MemoryLimit");

  /** `log` takes note of every change, for a journal; sets of counts are numbered from `firstSeq`, by default 1. */
  constructor(namespace: string | undefined, policyName: string, log?: ChangeLog, firstSeq = 1) {
    this.log = log;
    this.#pendingSeq = firstSeq;
    this.reach = new Reach(namespace);
    this.namespace = namespace;
    this.policyName = policyName;
    this.name = reportName(policyName);
  }

  /** Occurrences that no stored report holds for certain. */
  get unwritten(): number {
    return this.#pending.occurrences + (this.#inFlight?.occurrences ?? 0);
  }

  /** Whether there is anything to write: a count, a gap, a throttle notice, or another state of the stream. */
  get dirty(): boolean {
    const p = this.#pending;
    return this.#touched || p.occurrences + p.gaps + p.throttleNotices + p.rejected + p.lapses.length > 0;
  }

  /** Whether what is pending brings a violation that no report of this ledger has told yet. */
  get hasNewViolation(): boolean {
    for (const entry of this.#pendingEntries) if (!entry.committed) return true;
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

  /** The number that the next set to be taken will have. */
  get pendingSeq(): number {
    return this.#pendingSeq;
  }

  /** Sets up to `seq` stand in the stored report, from before. */
  standsUpTo(seq: number): void {
    if (seq > 0) this.log?.landed(seq);
    this.startAfter(seq);
  }

  /** Sets up to `seq` may have been taken before, by an earlier process. */
  startAfter(seq: number): void {
    if (seq < this.#pendingSeq) return;
    this.#pendingSeq = seq + 1;
    // The journal may know what is pending by its old number.
    this.resetLog();
  }

  /**
   * Takes back what an earlier process had not seen land: the oldest set as a write whose fate is open, since it may
   * have been sent, and what is younger as pending. Only where nothing is in flight.
   */
  recover(sets: readonly RecoveredSet[]): void {
    const [oldest, ...younger] = sets;
    if (!oldest) return;
    assert(!this.#inFlight, "one write per report at a time");
    for (const { policy, totals } of sets) this.policy.learn(policy, totals.lastUs);
    this.startAfter(sets.at(-1)?.seq ?? 0);
    this.#inFlightSeq = oldest.seq;
    this.#inFlight = oldest.totals;
    for (const counted of oldest.entries) {
      const entry = this.entries.get(counted.key) ?? this.#newEntry(counted);
      entry.inFlight = counted.tally;
      this.#inFlightEntries.add(entry);
      this.reach.seeTally(counted.identity, counted.tally);
    }
    for (const { totals, entries } of younger) this.#absorb(totals, entries);
    this.#unidentified = this.#countUnidentified();
    if (younger.length > 0) this.resetLog();
  }

  /** What is open, for the journal. */
  openSets(): { inFlight: OpenSet | undefined; pending: OpenSet } {
    const inFlight = this.#inFlight && { seq: this.#inFlightSeq, totals: this.#inFlight };
    return { inFlight, pending: { seq: this.#pendingSeq, totals: this.#pending } };
  }

  /** Has the journal forget the report and be told of all that is open. */
  resetLog(): void {
    this.log?.reset(this.#inFlightEntries, this.#pendingEntries);
  }

  /** What a report written now would say: committed and in flight. */
  get totals(): Totals {
    return this.#inFlight ? mergeTotals(this.#committed, this.#inFlight) : this.#committed;
  }

  /** The entries of the write in flight, for Events. */
  get inFlightEntries(): ReadonlySet<Entry> {
    return this.#inFlightEntries;
  }

  /** The times of the oldest and the newest occurrence, written or not; the wrong way round when there is none. */
  get span(): [EpochUs, EpochUs] {
    const { firstUs, lastUs } = mergeTotals(this.totals, this.#pending);
    return [firstUs, lastUs];
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  /** Counts one alert and returns its entry; `identify: false` (the memory bound is reached) counts it in totals only. */
  add(sighting: Sighting, identify: boolean): Entry | undefined {
    const { violation } = sighting;
    this.reach.see(violation);
    const entry = this.entries.get(violation.key) ?? (identify ? this.#newEntry(violation) : undefined);
    if (entry) this.addTo(entry, sighting);
    else {
      this.#countInTotals(sighting);
      this.#unidentified++;
      this.#pending.withoutDetails++;
      this.#withoutDetails.add(sighting.timeUs);
    }
    return entry;
  }

  /** Counts one more alert of a violation that `add` returned the entry of, from the same pod and node. */
  addTo(entry: Entry, sighting: Sighting): void {
    this.#countInTotals(sighting);
    if (!entry.pending) {
      entry.pending = emptyTally();
      this.#pendingEntries.add(entry);
    }
    addAlert(entry.pending, sighting);
    this.log?.note(entry);
  }

  #countInTotals({ violation, timeUs }: Sighting): void {
    countOutcome(this.#pending, violation.identity.outcome, 1, timeUs, timeUs);
    this.policy.learn(violation.policy, timeUs);
  }

  /**
   * Returns true when this report has seen the pod or, without a pod, what a notice for a whole node mutes: in the
   * cluster report the processes outside any pod, in a namespace's all of its pods on the node.
   */
  concerns(pod: string, node: string): boolean {
    return this.reach.concerns(pod, node);
  }

  /** Every gap that this report knows of, written or not. */
  get gaps(): number {
    return this.totals.gaps + this.#pending.gaps;
  }

  /** KubeArmor muted something of this report `count` times. */
  addThrottleNotices(count: number, lapses: readonly Lapse[]): void {
    this.#pending.throttleNotices += count;
    this.#note(lapses);
  }

  /** Nobody read for this report between two times; without `toUs` it lasts until endGap. */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs): void {
    this.#pending.gaps++;
    if (toUs === undefined) this.#openGaps.set(kind, fromUs);
    this.#note([lapse(kind, fromUs, { toUs })]);
  }

  /** Ends the gap, if it is one of this report's. Returns whether it is. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs): boolean {
    if (this.#openGaps.get(kind) !== fromUs) return false;
    this.#openGaps.delete(kind);
    this.#note([lapse(kind, fromUs, { toUs })]);
    return true;
  }

  /** `count` alerts that may have belonged here could not be read. */
  addRejected(count: number, lapses: readonly Lapse[]): void {
    this.#pending.rejected += count;
    this.#note(lapses);
  }

  /**
   * Lets violations go that were last seen before `beforeUs`: their counts stay in the totals. Returns how many; a
   * violation of which something is not yet written stays.
   */
  expire(beforeUs: EpochUs): number {
    const gone = letGo(this.entries, beforeUs);
    const { expired } = this.#pending;
    this.#unidentified += gone.occurrences;
    this.#pending.expired = {
      violations: expired.violations + gone.violations,
      occurrences: expired.occurrences + gone.occurrences,
    };
    const { occurrences: told, lastUs } = this.#committed;
    this.#isOver = told > 0 && lastUs < beforeUs && this.unwritten === 0 && !this.#inFlight;
    if (this.#isOver || gone.violations > 0) this.#touched = true;
    return gone.violations;
  }

  /** Whether everything that the stored report tells is too old to be kept, and nothing has come since. */
  get isOver(): boolean {
    return this.#isOver && this.unwritten === 0 && !this.#inFlight;
  }

  /** Asks for a write that brings no counts. */
  touch(): void {
    this.#touched = true;
  }

  /** Moves what is pending in flight. Until commit or restore nothing more can be taken. */
  take(): void {
    assert(!this.#inFlight, "one write per report at a time");
    this.#note(this.#withoutDetails.take());
    this.#inFlight = this.#pending;
    this.#pending = emptyTotals();
    this.#inFlightSeq = this.#pendingSeq++;
    this.#touched = false;
    for (const entry of this.#pendingEntries) {
      entry.inFlight = entry.pending;
      entry.pending = undefined;
    }
    this.#inFlightEntries = this.#pendingEntries;
    this.#pendingEntries = new Set();
    this.log?.taken();
  }

  /** The write is known to have happened. */
  commit(): void {
    assert(this.#inFlight, "commit follows take");
    this.#isOver = false;
    this.#committed = mergeTotals(this.#committed, this.#inFlight);
    for (const entry of this.#inFlightEntries) {
      const { inFlight } = entry;
      if (inFlight) entry.committed = entry.committed ? mergeInto(entry.committed, inFlight) : inFlight;
      entry.inFlight = undefined;
    }
    this.#landed();
    this.log?.landed(this.#inFlightSeq);
  }

  /** The write is known not to have happened. */
  restore(): void {
    assert(this.#inFlight, "restore follows take");
    this.#pending = mergeTotals(this.#inFlight, this.#pending);
    this.#touched = true;
    for (const entry of this.#inFlightEntries) {
      const { inFlight } = entry;
      if (inFlight) entry.pending = entry.pending ? mergeInto(inFlight, entry.pending) : inFlight;
      entry.inFlight = undefined;
      this.#pendingEntries.add(entry);
    }
    this.#landed();
    this.resetLog();
  }

  /**
   * Takes the stored report, as it now is, for what is committed; what is in flight or pending stays on top of it.
   * Without a base (the report was deleted) counting starts again from zero.
   */
  rebase(base: Base | undefined): void {
    const open = new Set([...this.#inFlightEntries, ...this.#pendingEntries]);
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
    this.#committed = base?.totals ?? emptyTotals();
    // What the stored report lists has not left it.
    this.#pending = withoutExpiry(this.#pending);
    if (this.#inFlight) this.#inFlight = withoutExpiry(this.#inFlight);
    this.#isOver = false;
    // A report that begins anew knows of no gap but one that nothing has told yet.
    if (!base && this.#pending.gaps + (this.#inFlight?.gaps ?? 0) === 0) this.#openGaps.clear();
    this.#unidentified = this.#countUnidentified();
    for (const entry of unlisted) entry.lowerBound = this.#unidentified > 0;
    this.violationsFloor = base?.violations ?? 0;
    this.#recount(base);
  }

  /** Everything that no stored report holds, for a ledger that takes it over. */
  drain(): { totals: Totals; entries: Entry[] } {
    if (this.#inFlight) this.restore();
    this.#note(this.#withoutDetails.take());
    return { totals: withoutExpiry(this.#pending), entries: [...this.#pendingEntries] };
  }

  /** Takes over what another ledger drained; the entries must be keyed for this one. */
  absorb(totals: Totals, entries: Iterable<Counted>): void {
    this.#absorb(totals, entries);
    this.resetLog();
  }

  #absorb(totals: Totals, entries: Iterable<Counted>): void {
    this.#pending = mergeTotals(this.#pending, totals);
    let identified = 0;
    for (const { key, identity, tally } of entries) {
      const entry = this.entries.get(key) ?? this.#newEntry({ key, identity });
      entry.pending = mergeInto(entry.pending ?? emptyTally(), tally);
      this.#pendingEntries.add(entry);
      this.reach.seeTally(identity, tally);
      identified += tally.occurrences;
    }
    this.#unidentified += totals.occurrences - identified;
  }

  #newEntry({ key, identity }: { key: string; identity: Identity }): Entry {
    const entry: Entry = {
      key,
      id: violationId(key),
      identity,
      committed: undefined,
      inFlight: undefined,
      pending: undefined,
      lowerBound: this.#unidentified > 0,
    };
    this.entries.set(key, entry);
    return entry;
  }

  #note(lapses: readonly Lapse[]): void {
    this.#pending.lapses = mergeLapses(this.#pending.lapses, lapses);
  }

  #landed(): void {
    this.#inFlight = undefined;
    this.#inFlightEntries = new Set();
  }

  #countUnidentified(): number {
    return mergeTotals(this.totals, this.#pending).occurrences - occurrencesIn(this.entries.values());
  }

  #recount(base: Base | undefined): void {
    this.reach.reset(base);
    for (const entry of this.entries.values()) {
      for (const tally of [entry.committed, entry.inFlight, entry.pending]) {
        if (tally) this.reach.seeTally(entry.identity, tally);
      }
    }
  }
}
