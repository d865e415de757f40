// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Totals of one report and the number of its violations: committed (in the stored report), in flight (in a write without a
// result yet) and pending (in no report yet).

import type { ViolationFacts } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";
import { clearExpiry, emptyTotals, mergeTotals, type Totals } from "../counts/totals.ts";
import type { Unidentified } from "../counts/unidentified.ts";
import { NO_SWEEP } from "../entries/entry.ts";
import type { ReportEntries } from "./report-entries.ts";

export class LedgerCounts {
  committed = emptyTotals();
  inFlight: Totals | undefined;
  /** Distinct violations that the stored report counted. */
  violationsFloor = 0;
  readonly #entries: ReportEntries;
  readonly #unidentified: Unidentified;

  constructor(entries: ReportEntries, unidentified: Unidentified) {
    this.#entries = entries;
    this.#unidentified = unidentified;
  }

  /** The totals that a report written now would have: committed and in flight. */
  get written(): Totals {
    return this.inFlight ? mergeTotals(this.committed, this.inFlight) : this.committed;
  }

  /** Everything that was ever counted, written or not. */
  get all(): Totals {
    return mergeTotals(this.written, this.#entries.pending.totals);
  }

  get unwritten(): number {
    return this.#entries.pending.totals.occurrences + (this.inFlight?.occurrences ?? 0);
  }

  /** Distinct violations that a report written now would list without a limit. */
  get listable(): number {
    return this.#entries.countWritten();
  }

  /** Distinct violations that a report written now would count, listed or not. */
  get violations(): number {
    return Math.max(this.violationsFloor, this.listable + this.written.expired.violations);
  }

  /** The time of the newest alert of the violation and pod that the stored report may list; 0 when it lists none. */
  findCommittedUntil({ key, podKey }: Pick<ViolationFacts, "key" | "podKey">): EpochUs {
    const entry = this.#entries.map.get(key);
    const committed = entry?.committed;
    if (!entry || !committed) return 0;
    const { pods, occurrences, lastUs } = committed;
    const pod = pods.get(podKey);
    if (pod) return pod.lastUs;
    if (pods.size === 0) return lastUs;
    let unlisted = occurrences;
    let leastUs = lastUs;
    for (const other of pods.values()) {
      unlisted -= other.occurrences;
      leastUs = Math.min(leastUs, other.lastUs);
    }
    if (unlisted === 0) return 0;
    // Writes of this process do not cover other pods. A full list lacks the pods that were seen least recently.
    return entry.stored?.writtenInSweep === NO_SWEEP ? lastUs : leastUs;
  }

  /** Clears what left the stored report's list, of sets that another base follows. */
  clearExpiry(): void {
    const { pending } = this.#entries;
    pending.totals = clearExpiry(pending.totals, this.#unidentified.pending);
    if (this.inFlight) this.inFlight = clearExpiry(this.inFlight, this.#unidentified.inFlight);
  }
}
