// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Subtraction of a report that another replica has written from a ledger's pending counts. Invariant: counts that stay
// pending are later than anything like them in the report, so that nothing is reported twice.

import { Pods } from "../aggregate/counts/pods.ts";
import type { Tally } from "../aggregate/counts/tally.ts";
import {
  countAlerts,
  countOutcome,
  emptyTotals,
  mergeTotals,
  subtractOutcomes,
  type Totals,
} from "../aggregate/counts/totals.ts";
import type { Counted } from "../aggregate/entries/counted.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Keep } from "../aggregate/ledger/ledger-write.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import type { ReportedUntil } from "../report/reported-until.ts";

/** Counts that were left to the other replica's report. */
export interface LeftOut {
  /** Alerts. */
  left: number;
  /** True where all of them are no later than the times in the report; else some may be in no report. */
  isCertain: boolean;
}

/**
 * Subtracts from what `ledger` holds beyond its base, the report, those counts that the report may have; the others are
 * pending after that. Steps as those of LedgerTransfer.revise.
 */
export function* subtractReported(ledger: Ledger, shown: ReportedUntil): Steps<LeftOut> {
  const cut = new Cut(shown);
  yield* ledger.transfer.revise(cut);
  return { left: cut.left, isCertain: cut.isCertain };
}

class Cut implements Keep {
  left = 0;
  isCertain = true;
  readonly #shown: ReportedUntil;
  /** Of all violations, and of their kept occurrences. */
  readonly #listed = emptyTotals();
  readonly #kept = emptyTotals();

  constructor(shown: ReportedUntil) {
    this.#shown = shown;
  }

  /** Returns the counts that are kept; undefined for none. */
  tally({ key, identity, tally }: Counted): Tally | undefined {
    const { firstUs, lastUs } = tally;
    countOutcome(this.#listed, identity.outcome, tally.occurrences, firstUs, lastUs);
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
    if (occurrences === 0) return undefined;
    const latest = tally.latest && tally.latest.timeUs <= newestUs ? tally.latest : undefined;
    const times = { firstUs: Math.min(firstUs, newestUs), lastUs: newestUs };
    // The times of single alerts are not known any more.
    countAlerts(this.#kept, identity.outcome, { occurrences, ...times });
    return { occurrences, ...times, pods, latest, rule: tally.rule, journaledSecond: 0 };
  }

  /** Counts without a violation have the times of the whole only. */
  totals(all: Totals): Totals {
    const rest = subtractOutcomes(all, this.#listed);
    const isKept = rest.occurrences > 0 && this.#isKept(all.firstUs, all.lastUs, this.#shown.lastUs, rest.occurrences);
    const kept = mergeTotals(isKept ? rest : { ...rest, ...COUNTS_OF_NOTHING }, this.#kept);
    return {
      ...kept,
      history: this.left === 0 ? all.history : { ...this.#kept.history, isLowerBound: true },
      withoutDetails: Math.min(all.withoutDetails, kept.occurrences),
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
