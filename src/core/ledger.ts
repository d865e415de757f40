// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One report's books: what is committed (stands in the stored report), in flight (in a write whose fate is open) and
// pending (nowhere yet).
// Invariant: every counted alert is in exactly one of the three. take moves pending to in flight, commit moves that to
// committed, restore moves it back; merge makes the order of these irrelevant. What is in flight never changes.

import { assert } from "../lib/assert.ts";
import { Episode, type GapKind, type Lapse, lapse, mergeLapses } from "./coverage.ts";
import { Distinct } from "./distinct.ts";
import type { Base, Entry } from "./entry.ts";
import { letGo } from "./retention.ts";
import { addAlert, emptyTally, mergeInto, type Tally } from "./tally.ts";
import type { EpochUs } from "./time.ts";
import { countOutcome, emptyTotals, KnownPolicy, mergeTotals, type Totals, withoutExpiry } from "./totals.ts";
import {
  type Identity,
  podKey,
  reportName,
  type Sighting,
  UNKNOWN,
  type Violation,
  violationId,
} from "./violation.ts";
import { WatchedMap } from "./watched-map.ts";

export class Ledger {
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly name: string;
  readonly policy = new KnownPolicy();
  readonly entries = new WatchedMap<string, Entry>();
  workloads = new Distinct();
  pods = new Distinct();
  nodes = new Distinct();
  /** Pods, and nodes as a whole, whose muting concerns this report. */
  #mutable = new Distinct();
  /** Distinct violations that the stored report counted. */
  violationsFloor = 0;
  /** Bytes that this report may have; smaller than configured once the server has refused that size. */
  maxBytes = Number.POSITIVE_INFINITY;
  /** Names what is pending: the number of the set of counts that the next take puts in flight. Only ever grows. */
  #pendingSeq = 1;
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

  constructor(namespace: string | undefined, policyName: string) {
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
    return this.#pendingSeq - 1;
  }

  /** Sets up to `seq` are known to have been taken before, by an earlier process. */
  startAfter(seq: number): void {
    assert(!this.#inFlight, "nothing is in flight at the start");
    this.#pendingSeq = Math.max(this.#pendingSeq, seq + 1);
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
    this.#see(violation);
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
    return this.#mutable.mayHave(pod === "" ? wholeNode(node) : podKey(this.namespace, pod, node));
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
    this.#pendingSeq++;
    this.#touched = false;
    for (const entry of this.#pendingEntries) {
      entry.inFlight = entry.pending;
      entry.pending = undefined;
    }
    this.#inFlightEntries = this.#pendingEntries;
    this.#pendingEntries = new Set();
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
  }

  /**
   * Takes the stored report, as it now is, for what is committed; what is in flight or pending stays on top of it.
   * Without a base (the report was deleted) counting starts again from zero.
   */
  rebase(base: Base | undefined): void {
    const open = this.#openEntries();
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
  absorb(totals: Totals, entries: Iterable<{ key: string; identity: Identity; tally: Tally }>): void {
    this.#pending = mergeTotals(this.#pending, totals);
    let identified = 0;
    for (const { key, identity, tally } of entries) {
      const entry = this.entries.get(key) ?? this.#newEntry({ key, identity });
      entry.pending = mergeInto(entry.pending ?? emptyTally(), tally);
      this.#pendingEntries.add(entry);
      this.#seeTally(identity, tally);
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

  #openEntries(): Entry[] {
    return [...new Set([...this.#inFlightEntries, ...this.#pendingEntries])];
  }

  #countUnidentified(): number {
    let identified = 0;
    for (const entry of this.entries.values()) {
      identified +=
        occurrencesOf(entry.committed) + occurrencesOf(entry.inFlight) + occurrencesOf(entry.pending);
    }
    return mergeTotals(this.totals, this.#pending).occurrences - identified;
  }

  #recount(base: Base | undefined): void {
    this.workloads = new Distinct();
    this.pods = new Distinct();
    this.nodes = new Distinct();
    this.#mutable = new Distinct();
    this.workloads.floor = base?.workloads ?? 0;
    this.pods.floor = base?.pods ?? 0;
    this.nodes.floor = base?.nodes ?? 0;
    for (const entry of this.entries.values()) {
      for (const tally of [entry.committed, entry.inFlight, entry.pending]) {
        if (tally) this.#seeTally(entry.identity, tally);
      }
    }
  }

  #see({ identity, pod, node, podKey }: Violation): void {
    this.workloads.add(workloadKey(identity));
    if (node !== "") this.nodes.add(node);
    if (pod !== "") this.#seePod(identity, podKey);
    if (pod === "" || this.namespace !== undefined) this.#mutable.add(wholeNode(node));
  }

  #seePod({ namespace }: Identity, key: string): void {
    // A notice tells no namespace that is none.
    this.#mutable.add(key);
    this.pods.add(`${namespace}\u001f${key}`);
  }

  #seeTally(identity: Identity, tally: Tally): void {
    this.workloads.add(workloadKey(identity));
    const { kind, name } = identity.workload;
    if (kind === "Node" && name !== UNKNOWN && tally.pods.size === 0) {
      this.nodes.add(name);
      this.#mutable.add(wholeNode(name));
    }
    for (const [key, pod] of tally.pods) {
      this.#seePod(identity, key);
      if (pod.node !== "") this.nodes.add(pod.node);
      if (this.namespace !== undefined) this.#mutable.add(wholeNode(pod.node));
    }
  }
}

function wholeNode(node: string): string {
  return `\u001f${node}`;
}

function occurrencesOf(tally: Tally | undefined): number {
  return tally?.occurrences ?? 0;
}

function workloadKey({ workload, namespace }: Identity): string {
  return `${namespace}\u001f${workload.kind}\u001f${workload.name}`;
}
