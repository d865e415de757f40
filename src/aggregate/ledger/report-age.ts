// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Retention sweeps as one report sees them.

import type { EpochUs } from "../../lib/time.ts";
import type { Totals } from "../counts/totals.ts";
import { NO_SWEEP } from "../entries/entry.ts";

export class ReportAge {
  sweep = 0;
  /** True when the last sweep found nothing that is young enough to stay. */
  isOver = false;
  /** Creation of the stored report, by the clock of its store; 0 where it is unknown, as of one that this process created. */
  createdUs: EpochUs = 0;
  #writtenInSweep = NO_SWEEP;

  /** Begins a sweep; violations written in the returned sweep or a later one are kept. */
  begin(keptSweeps: number): number {
    return ++this.sweep - keptSweeps;
  }

  /** Starts again from a stored report, or from none. */
  rebase(createdUs: EpochUs = 0): void {
    this.isOver = false;
    this.createdUs = createdUs;
  }

  recordWrite({ occurrences }: Totals): void {
    this.isOver = false;
    if (occurrences > 0) this.#writtenInSweep = this.sweep;
  }

  /** Ends a sweep of a report with these committed counts. */
  end({ occurrences, lastUs }: Totals, beforeUs: EpochUs, keptSweep: number): void {
    this.isOver = occurrences > 0 && lastUs < beforeUs && this.#writtenInSweep < keptSweep;
  }
}
