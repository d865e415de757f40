// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts that enter or leave a ledger otherwise than by an alert or a write: of an earlier process, of the stored report
// and of other ledgers.

import { assert } from "../../lib/assert.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import { emptyTotals, mergeTotals, type Totals } from "../counts/totals.ts";
import type { Base, Counted, RecoveredSet } from "../entries/counted.ts";
import type { Entry } from "../entries/entry.ts";
import type { Expiry } from "../entries/expiry.ts";
import type { LedgerState } from "./ledger-state.ts";
import type { LedgerWrite } from "./ledger-write.ts";

const EVER: Expiry = { beforeUs: Number.POSITIVE_INFINITY, keptSweep: Number.POSITIVE_INFINITY };

export class LedgerTransfer {
  readonly #ledger: LedgerState;
  readonly #write: LedgerWrite;

  constructor(ledger: LedgerState, write: LedgerWrite) {
    this.#ledger = ledger;
    this.#write = write;
  }

  /** Restores sets of an earlier process: the oldest in flight, as it may have been sent, the others pending. */
  recover(recovered: readonly RecoveredSet[]): void {
    const { policy, gaps, subjects, counts, sets, entries } = this.#ledger;
    const [oldest, ...younger] = recovered;
    if (!oldest) return;
    assert(!counts.inFlight, "one write per report at a time");
    const before = entries.unidentified;
    for (const { policy: facts, totals } of recovered) policy.recover(facts, totals.lastUs);
    sets.advance(recovered.at(-1)?.seq ?? 0);
    sets.recover(oldest.seq);
    counts.inFlight = oldest.totals;
    gaps.recover(counts, () => sets.log?.noteInFlight());
    entries.add(oldest.entries, "inFlight");
    for (const { identity, tally } of oldest.entries) subjects.addTally(identity, tally);
    for (const { totals, entries: counted } of younger) this.absorb(totals, counted);
    counts.recountUnidentified();
    // Any of the violations may be short of what was journaled without details.
    if (entries.unidentified > before) for (const entry of entries.map.values()) entry.lowerBound = true;
  }

  /** Makes a rebase or a drain of a large report short: it forgets what would be forgotten then. */
  forgetCommitted(): Steps {
    return this.#ledger.entries.forget(EVER);
  }

  /** Takes a stored report as what is committed; without one (it was deleted) counting starts again from zero. */
  rebase(base: Base | undefined, deletedUs?: EpochUs): void {
    const { policy, gaps, subjects, counts, entries, age } = this.#ledger;
    subjects.recount(base, [...entries.inFlight, ...entries.pending.entries]);
    const unlisted = entries.rebase(base?.entries ?? []);
    if (!base) gaps.startAgain(counts.inFlight, counts.committed, deletedUs);
    counts.committed = base?.totals ?? emptyTotals();
    counts.clearExpiry();
    if (entries.pending.totals.withoutDetails + (counts.inFlight?.withoutDetails ?? 0) === 0) policy.severityFloor = 0;
    age.isOver = false;
    counts.recountUnidentified();
    for (const entry of unlisted) entry.lowerBound = entries.unidentified > 0;
    counts.violationsFloor = base?.violations ?? 0;
  }

  /** Gives away everything that no stored report holds; nothing of it is open any more. */
  drain(): { totals: Totals; entries: Counted[] } {
    const { gaps, counts, entries } = this.#ledger;
    if (counts.inFlight) this.#write.restore();
    gaps.settle();
    counts.clearExpiry();
    const { totals } = entries.pending;
    const drained: Counted[] = [];
    for (const entry of entries.pending.take()) {
      const { key, identity, pending: tally } = entry;
      if (tally) drained.push({ key, identity, tally });
      entry.pending = undefined;
      if (entry.stored) entries.map.updateBytes(entry);
      else entries.map.delete(key);
    }
    counts.recountUnidentified();
    return { totals, entries: drained };
  }

  /** Takes over what a ledger drained; the entries must be keyed for this one. */
  absorb(totals: Totals, counted: readonly Counted[]): void {
    const { subjects, sets, entries } = this.#ledger;
    entries.pending.totals = mergeTotals(entries.pending.totals, totals);
    const identified = entries.add(counted, "pending");
    for (const { identity, tally } of counted) subjects.addTally(identity, tally);
    entries.unidentified += totals.occurrences - identified;
    sets.resetLog();
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
