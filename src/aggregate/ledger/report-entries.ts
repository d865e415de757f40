// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The violations of one report: committed, in flight and pending counts of each.
// Invariant: a count is in exactly one of the three. Counts in flight never change.

import type { Expired } from "../../api/v1alpha1.ts";
import { type Identity, settledKey } from "../../ingest/violation/violation.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { KnownPolicy } from "../counts/known-policy.ts";
import { mergeInto, type Tally } from "../counts/tally.ts";
import type { Unidentified } from "../counts/unidentified.ts";
import type { Counted } from "../entries/counted.ts";
import {
  type CountingReport,
  countAll,
  type Entry,
  type EntryGroup,
  getSeverity,
  isWritten,
  moveCounts,
} from "../entries/entry.ts";
import { EntryMap } from "../entries/entry-map.ts";
import { type Expiry, expireEntries } from "../entries/expiry.ts";
import type { MemoryUsage } from "../entries/memory-usage.ts";
import { selectLowest } from "../entries/ranking.ts";
import type { ChangeLog } from "./change-log.ts";
import { PendingCounts, type PendingParts } from "./pending-counts.ts";

export interface ReportEntriesParts {
  meter: MemoryUsage;
  unidentified: Unidentified;
  policy: KnownPolicy;
  log: ChangeLog | undefined;
  onCounting: PendingParts["onCounting"];
  onEvicted: (eviction: Eviction) => void;
}

export interface Eviction {
  occurrences: number;
  /** Violations that a report would have listed before the eviction. */
  known: number;
  us: EpochUs;
}

/** Approximate bound of the entries and cells visited for one eviction. */
const MAX_VISITS = 1024;
/** Entries that are committed, or lose their committed counts, in one step: packing takes some microseconds. */
const CHANGES_PER_STEP = 256;

export class ReportEntries implements CountingReport {
  readonly map: EntryMap;
  readonly pending: PendingCounts;
  taken = 0;
  readonly #parts: ReportEntriesParts;
  #inFlight: Entry[] = [];
  /** Occurrences that the stored report does not list, while a rebase on it is under way. */
  #newCommitted: number | undefined;
  /** Entries that a report written now would count. */
  #written = 0;

  constructor(parts: ReportEntriesParts) {
    const { meter, policy, log, onCounting } = parts;
    this.#parts = parts;
    this.map = new EntryMap(meter, this);
    const updateBytes = (entry: Entry) => this.map.updateBytes(entry);
    this.pending = new PendingCounts({ cells: meter.cells, policy, log, onCounting, updateBytes });
  }

  get inFlight(): readonly Entry[] {
    return this.#inFlight;
  }

  /** Counts the violations that a report written now would list: unnamed containers are one there. */
  countWritten(): number {
    const settled = new Set<string>();
    let joined = 0;
    for (const entry of this.map.unresolved) {
      if (!isWritten(entry)) continue;
      settled.add(settledKey(entry.key));
      joined++;
    }
    for (const key of settled) if (!isWritten(this.map.get(key))) joined--;
    return this.#written - joined;
  }

  /** Moves the counts of an entry to another, between writes. */
  moveCounts(from: Entry, to: Entry): void {
    if (from.stored && to.stored) this.#written--;
    for (const entry of [from, to]) this.#removePending(entry);
    moveCounts(from, to);
    if (to.pending) this.pending.entries.add(to);
  }

  /** Returns the entry of a violation; begins it where there is none. */
  obtain({ key, identity }: { key: string; identity: Identity }, prepare?: (entry: Entry) => void): Entry {
    return this.map.get(key) ?? this.map.begin(key, identity, this.#isShort, prepare);
  }

  /** True where occurrences of any violation may be among those in no entry. */
  get #isShort(): boolean {
    const { committed, inFlight, pending } = this.#parts.unidentified;
    return (this.#newCommitted ?? committed) + inFlight + pending > 0;
  }

  /** Moves the pending counts in flight; each entry moves its own when it is next visited. */
  take(): void {
    const { list, newEntries } = this.pending.take();
    this.#inFlight = [...list];
    this.#written += newEntries;
    this.#parts.unidentified.take();
    this.taken++;
  }

  /** Adds the in-flight counts to the committed ones, before retention sweep `sweep`. */
  *commit(sweep: number): Steps {
    yield* visitInSteps(
      this.#inFlight,
      (entry) => {
        entry.commit(sweep);
        this.map.updateBytes(entry);
      },
      CHANGES_PER_STEP,
    );
    this.#inFlight = [];
    this.#parts.unidentified.commit();
  }

  /** Moves the in-flight counts that `keep` returns back to the pending ones, and forgets the rest. */
  *restore(keep: (counted: Counted) => Tally | undefined): Steps {
    const restore = (entry: Entry) => {
      const { key, identity, inFlight } = entry;
      const kept = inFlight && keep({ key, identity, tally: inFlight });
      if (inFlight?.latest !== kept?.latest) inFlight?.latest?.leave();
      if (kept) entry.pending = entry.pending ? mergeInto(kept, entry.pending) : kept;
      entry.inFlight = undefined;
      if (!entry.stored) this.#written--;
      if (entry.pending) this.pending.entries.add(entry);
      else if (!entry.stored && !this.#isPending(entry)) this.map.delete(key);
      this.map.updateBytes(entry);
    };
    yield* visitInSteps(this.#inFlight, restore, CHANGES_PER_STEP);
    this.#inFlight = [];
  }

  /** Adds counts from elsewhere to those in flight or pending; returns their occurrences. */
  add(entries: readonly Counted[], where: "inFlight" | "pending"): number {
    let occurrences = 0;
    for (const counted of entries) {
      if (where === "inFlight") this.#addInFlight(this.obtain(counted), counted.tally);
      else this.#addPending(counted);
      occurrences += counted.tally.occurrences;
    }
    return occurrences;
  }

  #addPending(counted: Counted): void {
    const entry = this.obtain(counted, (begun) => this.pending.ensureTally(begun));
    mergeInto(this.pending.ensureTally(entry), counted.tally);
    this.map.updateBytes(entry);
    this.#parts.log?.note(entry);
  }

  #addInFlight(entry: Entry, tally: Tally): void {
    if (!isWritten(entry)) this.#written++;
    const isPending = this.pending.entries.delete(entry);
    entry.inFlight = tally;
    this.#inFlight.push(entry);
    if (isPending) this.pending.entries.add(entry);
  }

  /**
   * Takes `base` as what is committed, of a report with `rest` occurrences that it does not list. Between the steps alerts
   * may be added, but nothing taken or put back. `onOpen` receives the entries that have other counts.
   */
  *rebase(base: readonly Entry[], rest: number, onOpen: (entry: Entry) => void): Steps {
    this.#newCommitted = rest;
    const isShort = this.#isShort;
    yield* this.pending.takeCells();
    const visit = (entry: Entry) => {
      this.#forgetCommitted(entry);
      if (!this.#isOpen(entry)) return;
      entry.lowerBound = isShort;
      onOpen(entry);
    };
    yield* visitInSteps(this.map.values(), visit, CHANGES_PER_STEP);
    for (const entry of base) this.#setCommitted(entry);
    this.#parts.unidentified.committed = rest;
    this.#newCommitted = undefined;
  }

  #isOpen(entry: Entry): boolean {
    return entry.inFlight !== undefined || this.#isPending(entry);
  }

  #isPending(entry: Entry): boolean {
    return entry.pending !== undefined || this.pending.lookAtCells(entry).lastUs > 0;
  }

  /** Removes an entry that has no other counts. */
  #forgetCommitted(entry: Entry): void {
    const { stored } = entry;
    if (!stored) return;
    if (!entry.inFlight) this.#written--;
    if (!this.#isOpen(entry)) {
      this.map.delete(entry.key);
      return;
    }
    stored.latest?.leave();
    entry.committed = undefined;
    if (entry.pending) this.pending.entries.add(entry);
    this.map.updateBytes(entry);
  }

  #setCommitted(stored: Entry): void {
    const entry = this.map.get(stored.key);
    if (!entry || !isWritten(entry)) this.#written++;
    if (!entry) {
      this.map.set(stored);
      return;
    }
    const isPending = this.pending.entries.delete(entry);
    entry.committed = stored.committed;
    entry.lowerBound = stored.lowerBound;
    if (isPending) this.pending.entries.add(entry);
    this.map.updateBytes(entry);
  }

  /** Takes the counts of all cells of an entry, and forgets it there; its counts stay in the totals. */
  #removePending(entry: Entry): void {
    this.pending.takeOwnCells(entry);
    this.pending.entries.delete(entry);
  }

  /** Removes an entry; returns its counts that no stored report holds. */
  remove(entry: Entry): Counted | undefined {
    this.#removePending(entry);
    const { key, identity, inFlight, pending } = entry;
    const tally = inFlight && pending ? mergeInto(inFlight, pending) : (inFlight ?? pending);
    if (isWritten(entry)) this.#written--;
    this.map.delete(key);
    return tally && { key, identity, tally };
  }

  /** Expires entries as expireEntries does; their occurrences stay in the totals. */
  *forget(until: Expiry, onGone: (gone: Expired) => void = () => {}): Steps {
    const isPending = (entry: Entry) => this.#isPending(entry);
    yield* expireEntries(this.map, until, isPending, (gone) => {
      this.#parts.unidentified.committed += gone.occurrences;
      this.#written -= gone.violations;
      onGone(gone);
    });
  }

  /** Evicts up to `count` of the visited violations of a group, none in flight; returns their number. */
  evict(group: EntryGroup, count: number, us: EpochUs): number {
    const times = new Map<Entry, EpochUs>();
    const visited = group.visit(MAX_VISITS, (entry) => {
      const { lastUs, cells } = this.pending.lookAtCells(entry);
      times.set(entry, lastUs);
      return 1 + cells;
    });
    const free = visited.filter(({ inFlight }) => !inFlight);
    const least = selectLowest(free, count, (entry) => times.get(entry) ?? 0);
    if (least.length === 0) return 0;
    const known = this.countWritten();
    let occurrences = 0;
    for (const entry of least) occurrences += this.#evict(entry, times.get(entry) ?? us);
    this.#parts.onEvicted({ occurrences, known, us });
    return least.length;
  }

  /** Evicts a violation that was last seen at `lastUs`; returns its occurrences. */
  #evict(entry: Entry, lastUs: EpochUs): number {
    this.#removePending(entry);
    const occurrences = countAll(entry);
    const pending = entry.pending?.occurrences ?? 0;
    this.#parts.unidentified.pending += pending;
    this.#parts.unidentified.committed += occurrences - pending;
    this.#parts.policy.raiseSeverity(getSeverity(entry), lastUs);
    if (isWritten(entry)) this.#written--;
    this.#parts.log?.left(entry);
    this.map.delete(entry.key);
    return occurrences;
  }
}
