// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts that enter or leave a ledger otherwise than by an alert or a write: of an earlier process, of the stored report
// and of other ledgers.

import { assert } from "../../lib/assert.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import { isDeletion } from "../counts/coverage-gap.ts";
import { emptyTotals, mergeTotals, type Totals } from "../counts/totals.ts";
import { type Base, type Counted, type RecoveredSet, sumStored } from "../entries/counted.ts";
import type { Entry } from "../entries/entry.ts";
import type { Expiry } from "../entries/expiry.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { Keep, LedgerWrite } from "./ledger-write.ts";

/**
 * Each is removed from one report and added to another, which allocates 5 kB: the more a step allocates, the longer V8
 * collects garbage in it.
 */
const ENTRIES_PER_STEP = 32;
const EVER: Expiry = { beforeUs: Number.POSITIVE_INFINITY, keptSweep: Number.POSITIVE_INFINITY };

/** Called when the ledger holds recovered totals; returns true where its journal has lost their rows. */
export type OnHeld = () => boolean;

export class LedgerTransfer {
  readonly #ledger: LedgerState;
  readonly #write: LedgerWrite;

  constructor(ledger: LedgerState, write: LedgerWrite) {
    this.#ledger = ledger;
    this.#write = write;
  }

  /**
   * Restores sets of an earlier process: the oldest in flight, as it may have been sent, the others pending. The totals are
   * there with the first step, in which `onHeld` is called. Between the steps alerts may be added, but nothing taken.
   */
  *recover(recovered: readonly RecoveredSet[], onHeld: OnHeld = () => false): Steps {
    const { policy, gaps, subjects, counts, sets, entries, unidentified } = this.#ledger;
    const [oldest, ...younger] = recovered;
    const isLost = onHeld();
    if (!oldest) return;
    assert(!counts.inFlight, "one write per report at a time");
    const before = unidentified.all;
    for (const { policy: facts, totals } of recovered) policy.recover(facts, totals.lastUs);
    sets.advance(recovered.at(-1)?.seq ?? 0);
    sets.recover(oldest.seq);
    counts.inFlight = oldest.totals;
    gaps.recover(counts, () => sets.log?.noteInFlight());
    unidentified.inFlight = countUnidentified(oldest);
    policy.take();
    for (const set of younger) {
      entries.pending.totals = mergeTotals(entries.pending.totals, set.totals);
      unidentified.pending += countUnidentified(set);
    }
    const isReset = isLost || younger.length > 0;
    if (isReset) sets.resetLog();
    const add = (where: "inFlight" | "pending") => (counted: Counted) => {
      entries.add([counted], where);
      subjects.addTally(counted.identity, counted.tally);
      if (isReset && where === "inFlight") sets.log?.noteInFlight(entries.map.get(counted.key));
    };
    yield* visitInSteps(oldest.entries, add("inFlight"), ENTRIES_PER_STEP);
    for (const set of younger) yield* visitInSteps(set.entries, add("pending"), ENTRIES_PER_STEP);
    if (unidentified.all === before) return;
    // Any of the violations may lack counts that were journaled without details.
    yield* visitInSteps(entries.map.values(), (entry) => {
      entry.lowerBound = true;
    });
  }

  /** Forgets violations that have no counts but committed ones, of a report that is about to lose all of these. */
  forgetCommitted(): Steps {
    return this.#ledger.entries.forget(EVER);
  }

  /**
   * Takes a stored report as the committed counts; without one (it was deleted) counting starts again from zero. Between the
   * steps alerts may be added, but nothing taken or put back.
   */
  *rebase(base: Base | undefined, deletedUs?: EpochUs): Steps {
    const { policy, gaps, subjects, counts, entries, age, sets } = this.#ledger;
    const { entries: listed, totals } = base ?? { entries: [], totals: emptyTotals() };
    subjects.beginRecount(base);
    const rest = totals.occurrences - sumStored(listed);
    yield* entries.rebase(listed, rest, (entry) => subjects.recount(entry));
    subjects.endRecount();
    if (!base) gaps.startAgain(counts.inFlight, counts.committed, deletedUs);
    if (deletedUs !== undefined && counts.inFlight) sets.log?.noteInFlight();
    counts.committed = totals;
    counts.clearExpiry();
    if (entries.pending.totals.withoutDetails + (counts.inFlight?.withoutDetails ?? 0) === 0) policy.severityFloor = 0;
    age.rebase(base?.createdUs);
    policy.take();
    counts.violationsFloor = base?.violations ?? 0;
  }

  /** Totals of everything that no stored report holds. */
  get unwritten(): Totals {
    const { counts, entries } = this.#ledger;
    return mergeTotals(counts.inFlight ?? emptyTotals(), entries.pending.totals);
  }

  /**
   * Gives away everything that no stored report holds in parts, the first with the totals, and forgets the rest. The report
   * is dropped: it gets no alert but of kinds that are counted for it already, which go with the next part.
   */
  *drainInSteps(give: (totals: Totals, entries: readonly Counted[]) => void): Steps {
    const { counts, entries, unidentified } = this.#ledger;
    entries.pending.totals = this.unwritten;
    unidentified.restore();
    counts.inFlight = undefined;
    let part: Counted[] = [];
    let left = ENTRIES_PER_STEP;
    for (const entry of entries.map.values()) {
      if (left-- === 0) {
        give(this.#drainTotals(), part);
        yield;
        part = [];
        left = ENTRIES_PER_STEP - 1;
      }
      const counted = entries.remove(entry);
      if (counted) part.push(counted);
    }
    give(this.#drainTotals(), part);
    this.discard();
  }

  /** Deletions of the stored report are not losses of the one that the counts go to. */
  #drainTotals(): Totals {
    const { gaps, counts, entries, unidentified } = this.#ledger;
    gaps.settle();
    counts.clearExpiry();
    const { totals } = entries.pending;
    entries.pending.totals = emptyTotals();
    unidentified.pending = 0;
    return { ...totals, coverageGaps: totals.coverageGaps.filter((gap) => !isDeletion(gap)) };
  }

  /** Forgets the counts that no stored report holds and that `keep` leaves out. Steps as those of LedgerWrite.restoreInSteps. */
  *revise(keep: Keep): Steps {
    if (this.#ledger.counts.inFlight) yield* this.#write.restoreInSteps();
    yield* this.#write.takeCells();
    this.#write.take();
    yield* this.#write.restoreInSteps(keep);
  }

  /** Takes over what a ledger drained; the entries must be keyed for this one. */
  absorb(totals: Totals, counted: readonly Counted[]): void {
    const { subjects, entries, unidentified } = this.#ledger;
    entries.pending.totals = mergeTotals(entries.pending.totals, totals);
    const identified = entries.add(counted, "pending");
    for (const { identity, tally } of counted) subjects.addTally(identity, tally);
    unidentified.pending += totals.occurrences - identified;
  }

  /** Forgets everything, of a report that is dropped. */
  discard(): void {
    const { subjects, entries } = this.#ledger;
    entries.map.clear();
    entries.pending.release();
    subjects.clear();
  }

  /** Moves the counts of an entry to another, between writes. */
  moveCounts(from: Entry, to: Entry): void {
    this.#ledger.entries.moveCounts(from, to);
  }
}

function countUnidentified({ totals, entries }: RecoveredSet): number {
  return entries.reduce((left, { tally }) => left - tally.occurrences, totals.occurrences);
}
