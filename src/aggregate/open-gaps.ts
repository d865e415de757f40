// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Open gaps of one report, written into its pending totals. Invariant: a gap that has begun is counted once, and its
// end changes no count.

import type { EpochUs } from "../lib/time.ts";
import {
  type CoverageGap,
  createCoverageGap,
  GapBuilder,
  type GapKind,
  mergeCoverageGaps,
} from "./coverage-gap.ts";
import type { Totals } from "./totals.ts";

export class OpenGaps {
  /** Beginnings of the gaps that the report knows of and that have not ended. */
  readonly #open = new Map<GapKind, EpochUs>();
  readonly #withoutDetails = new GapBuilder("MemoryLimit");

  /** A gap from `fromUs` to `toUs`; without that it lasts until endGap. */
  addGap(totals: Totals, kind: GapKind, fromUs: EpochUs, toUs: EpochUs | undefined): void {
    totals.gaps++;
    if (toUs === undefined) this.#open.set(kind, fromUs);
    addGaps(totals, [createCoverageGap(kind, fromUs, { toUs })]);
  }

  /** Ends the gap, if it is one of this report's. Returns whether it is. */
  endGap(totals: Totals, kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes = 0): boolean {
    if (this.#open.get(kind) !== fromUs) return false;
    this.#open.delete(kind);
    addGaps(totals, [createCoverageGap(kind, fromUs, { toUs, nodes })]);
    return true;
  }

  /** Ends gaps of `stored` that lasted when another process wrote them, and that this one knows nothing of. */
  endUnknown(totals: Totals, stored: readonly CoverageGap[], us: EpochUs): boolean {
    const isUnknown = ({ kind, fromUs, toUs }: CoverageGap) =>
      toUs === undefined && this.#open.get(kind as GapKind) !== fromUs;
    const ended = stored.filter(isUnknown).map((gap) => ({ ...gap, toUs: Math.max(us, gap.fromUs) }));
    addGaps(totals, ended);
    return ended.length > 0;
  }

  /** Keeps only the number of these occurrences. */
  addWithoutDetails(totals: Totals, us: EpochUs, occurrences: number): void {
    totals.withoutDetails += occurrences;
    this.#withoutDetails.add(us, occurrences);
  }

  /** Completes totals that are about to leave. */
  settle(totals: Totals): void {
    addGaps(totals, this.#withoutDetails.take());
  }

  /** The report starts again from zero, with no gap but one that is in no report yet; `deletedUs`: it was deleted. */
  startAgain(pending: Totals, inFlight: Totals | undefined, lost: Totals, deletedUs?: EpochUs): void {
    if (pending.gaps + (inFlight?.gaps ?? 0) === 0) this.#open.clear();
    if (deletedUs === undefined || lost.occurrences === 0) return;
    const toUs = Math.max(deletedUs, lost.firstUs);
    addGaps(pending, [createCoverageGap("Deleted", lost.firstUs, { toUs, count: lost.occurrences })]);
  }
}

/** Adds gaps to the list. */
export function addGaps(totals: Totals, coverageGaps: readonly CoverageGap[]): void {
  totals.coverageGaps = mergeCoverageGaps(totals.coverageGaps, coverageGaps);
}
