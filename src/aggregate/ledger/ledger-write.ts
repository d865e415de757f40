// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The write of one report: take moves pending to in flight, commit that to committed, restore back.
// Invariant: in-flight counts never change once they are sent.

import { assert } from "../../lib/assert.ts";
import { runAtOnce, type Steps } from "../../lib/pacing/steps.ts";
import type { Tally } from "../counts/tally.ts";
import { isEmpty, mergeTotals, type Totals } from "../counts/totals.ts";
import type { Counted } from "../entries/counted.ts";
import type { Entry } from "../entries/entry.ts";
import type { LedgerState } from "./ledger-state.ts";

/** Counts that a write stores out of those that it was to store. */
export interface Keep {
  /** Of a violation; undefined for nothing. */
  tally(counted: Counted): Tally | undefined;
  /** Of all; called after the violations. */
  totals(all: Totals): Totals;
}

const KEEP_ALL: Keep = { tally: ({ tally }) => tally, totals: (all) => all };

export class LedgerWrite {
  readonly #ledger: LedgerState;
  #isAsked = false;

  constructor(ledger: LedgerState) {
    this.#ledger = ledger;
  }

  get isInFlight(): boolean {
    return this.#ledger.counts.inFlight !== undefined;
  }

  /** True where a write has a purpose: a count, a gap, a throttle notice, or another state of the stream. */
  get isNeeded(): boolean {
    return this.#isAsked || !isEmpty(this.#ledger.entries.pending.totals);
  }

  /** True where pending counts have a violation that no report of this ledger had before. */
  get hasNewViolation(): boolean {
    return this.#ledger.entries.pending.haveNew;
  }

  /** The entries of the write in flight, for Events. */
  get entries(): readonly Entry[] {
    return this.#ledger.entries.inFlight;
  }

  /** Asks for a write that brings no counts. */
  touch(): void {
    this.#isAsked = true;
  }

  /** Moves the pending counts in flight. Until commit or restore no more can be taken. */
  take(): void {
    const { policy, gaps, counts, sets, entries } = this.#ledger;
    assert(!counts.inFlight, "one write per report at a time");
    gaps.settle();
    counts.inFlight = entries.pending.totals;
    sets.take();
    this.#isAsked = false;
    entries.take();
    policy.take();
    sets.log?.taken();
  }

  /** Takes counts of cells ahead of a take, which then takes the few that came meanwhile. */
  takeCells(): Steps {
    return this.#ledger.entries.pending.takeCells();
  }

  /** The write is known to have happened. */
  commit(): void {
    runAtOnce(this.commitInSteps());
  }

  /** Commits as commit does. Between the steps alerts may be added, but nothing taken or put back. */
  *commitInSteps(): Steps {
    const { counts, sets, entries, age } = this.#ledger;
    assert(counts.inFlight, "commit follows take");
    age.recordWrite(counts.inFlight);
    yield* entries.commit(age.sweep);
    counts.committed = mergeTotals(counts.committed, counts.inFlight);
    counts.inFlight = undefined;
    sets.commit();
  }

  /** The write is known not to have happened. */
  restore(): void {
    runAtOnce(this.restoreInSteps());
  }

  /**
   * Restores as restore does, but for what `keep` leaves out. Between the steps alerts may be added, but nothing taken or
   * put back; a journal has some counts twice then, so that the stored report must be one that another writer has written.
   */
  *restoreInSteps(keep = KEEP_ALL): Steps {
    const { counts, sets, entries, unidentified } = this.#ledger;
    assert(counts.inFlight, "restore follows take");
    let identified = 0;
    yield* entries.restore((counted) => {
      const tally = keep.tally(counted);
      identified += tally?.occurrences ?? 0;
      return tally;
    });
    const kept = keep.totals(counts.inFlight);
    unidentified.pending += kept.occurrences - identified;
    unidentified.inFlight = 0;
    entries.pending.totals = mergeTotals(kept, entries.pending.totals);
    this.#isAsked = true;
    counts.inFlight = undefined;
    sets.resetLog();
  }
}
