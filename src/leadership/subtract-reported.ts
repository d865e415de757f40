// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Subtraction of a report that another replica has written from a ledger's pending counts. Invariant: counts that stay
// pending are later than anything like them in the report, so that nothing is reported twice.

import { addToHistory, emptyHistory } from "../aggregate/counts/history.ts";
import { Pods } from "../aggregate/counts/pods.ts";
import type { Tally } from "../aggregate/counts/tally.ts";
import { countOutcome, emptyTotals, subtractOutcomes, type Totals } from "../aggregate/counts/totals.ts";
import type { Counted } from "../aggregate/entries/counted.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { EpochUs } from "../lib/time.ts";
import type { ReportedUntil } from "../report/reported-until.ts";

/** Counts that were left to the other replica's report. */
export interface LeftOut {
  /** Alerts. */
  left: number;
  /** True where all of them are no later than the times in the report; else some may be in no report. */
  isCertain: boolean;
}

/** Subtracts from the pending counts of `ledger`, with the report as its base, those that the report may have. */
export function subtractReported(ledger: Ledger, shown: ReportedUntil): LeftOut {
  const { totals, entries } = ledger.transfer.drain();
  const cut = new Cut(shown);
  const kept = entries.flatMap((counted) => cut.counted(counted));
  ledger.transfer.absorb(cut.totals(totals, entries, kept), kept);
  // Rows of what was left out are removed.
  ledger.sets.resetLog();
  return { left: cut.left, isCertain: cut.isCertain };
}

class Cut {
  left = 0;
  isCertain = true;
  readonly #shown: ReportedUntil;

  constructor(shown: ReportedUntil) {
    this.#shown = shown;
  }

  counted({ key, identity, tally }: Counted): Counted[] {
    const { firstUs, lastUs } = tally;
    const pods = new Pods();
    let occurrences = 0;
    let rest = tally.occurrences;
    let newestUs = 0;
    for (const [podKey, pod] of tally.pods) {
      rest -= pod.occurrences;
      const untilUs = this.#shown.until({ key, podKey, pod: pod.name });
      if (!this.#isKept(firstUs, pod.lastUs, untilUs, pod.occurrences)) continue;
      pods.set(podKey, { ...pod, journaled: undefined });
      occurrences += pod.occurrences;
      newestUs = Math.max(newestUs, pod.lastUs);
    }
    // In no pod, or in pods beyond the bound on distinct ones.
    if (rest > 0 && this.#isKept(firstUs, lastUs, this.#shown.until({ key, podKey: "", pod: "" }), rest)) {
      occurrences += rest;
      newestUs = lastUs;
    }
    if (occurrences === 0) return [];
    const latest = tally.latest && tally.latest.timeUs <= newestUs ? tally.latest : undefined;
    const times = { firstUs: Math.min(firstUs, newestUs), lastUs: newestUs };
    const kept: Tally = { occurrences, ...times, pods, latest, rule: tally.rule, journaledSecond: 0 };
    return [{ key, identity, tally: kept }];
  }

  /** Counts without a violation have the times of the whole only. */
  totals(all: Totals, entries: readonly Counted[], kept: readonly Counted[]): Totals {
    const rest = subtractEntries(all, entries);
    const isKept = rest.occurrences > 0 && this.#isKept(all.firstUs, all.lastUs, this.#shown.lastUs, rest.occurrences);
    // The times of single alerts are not known any more.
    const history = { ...emptyHistory(), isLowerBound: true };
    const totals = isKept ? rest : { ...rest, ...COUNTS_OF_NOTHING };
    for (const { identity, tally } of kept) {
      countOutcome(totals, identity.outcome, tally.occurrences, tally.firstUs, tally.lastUs);
      addToHistory(history, identity.outcome, tally.lastUs, tally.occurrences);
    }
    const isAll = this.left === 0;
    return {
      ...totals,
      history: isAll ? all.history : history,
      withoutDetails: Math.min(all.withoutDetails, totals.occurrences),
    };
  }

  /** Returns true where alerts between two times are all later than `untilUs`; else they are left out. */
  #isKept(firstUs: EpochUs, lastUs: EpochUs, untilUs: EpochUs, occurrences: number): boolean {
    if (firstUs > untilUs) return true;
    this.left += occurrences;
    if (lastUs > untilUs) this.isCertain = false;
    return false;
  }
}

const { occurrences, prevented, allowed, unknown, firstUs, lastUs } = emptyTotals();
const COUNTS_OF_NOTHING = { occurrences, prevented, allowed, unknown, firstUs, lastUs };

/** The totals without what is counted in `entries`. */
function subtractEntries(all: Totals, entries: readonly Counted[]): Totals {
  const listed = emptyTotals();
  for (const { identity, tally } of entries) countOutcome(listed, identity.outcome, tally.occurrences, 0, 0);
  return subtractOutcomes(all, listed);
}
