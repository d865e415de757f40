// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Coverage of one report: gaps, throttle notices and rejections, written into its pending totals. Invariant: a gap that
// has begun is counted once, and its end changes no count. Gaps of a start are in the first write after it.

import type { EpochUs } from "../../lib/time.ts";
import {
  type CoverageGap,
  createCoverageGap,
  GapBuilder,
  type GapKind,
  isDeletion,
  isSameGap,
  mergeCoverageGaps,
} from "../counts/coverage-gap.ts";
import type { Totals } from "../counts/totals.ts";

type GapStart = Pick<CoverageGap, "kind" | "fromUs">;

/** Holder of the pending totals, which change with each set of counts. */
interface PendingTotals {
  readonly totals: Totals;
}

/** Holder of the totals in flight that an earlier process left. */
interface RecoveredTotals {
  readonly inFlight: Totals | undefined;
}

/** Gaps of all reports, for one of them. */
export interface DeclaredGaps {
  /** Adds what is being declared in all reports. */
  addDeclared?: (() => void) | undefined;
  /** Adds also what a report gets with its next write. */
  addLacking?: (() => void) | undefined;
}

export class OpenGaps {
  readonly addDeclared: () => void;
  readonly #addLacking: () => void;
  readonly #pending: PendingTotals;
  /** Beginnings of the gaps that the report knows of and that have not ended. */
  #open: GapStart[] = [];
  readonly #withoutDetails = new GapBuilder("MemoryLimit");
  /** Takes gaps until it is sent. */
  #recovered: RecoveredTotals | undefined;
  /** Gaps that were added to it: a write of the earlier process has none of them. */
  #added: CoverageGap[] = [];
  #onAdded = () => {};
  /** Gaps of the previous leader that were added here. */
  #continued: CoverageGap[] = [];

  constructor(pending: PendingTotals, { addDeclared = () => {}, addLacking = addDeclared }: DeclaredGaps = {}) {
    this.#pending = pending;
    this.addDeclared = addDeclared;
    this.#addLacking = addLacking;
  }

  /** Adds throttle notices about a subject of this report, or alerts that may belong here and could not be read. */
  addMissing(what: "throttleNotices" | "rejected", count: number, gaps: readonly CoverageGap[]): void {
    this.#totals[what] += count;
    addGaps(this.#totals, gaps);
  }

  /** A gap from `fromUs` to `toUs`; without that it lasts until endGap. */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs, nodes = 0): void {
    if (toUs === undefined) this.#open.push({ kind, fromUs });
    const gap = createCoverageGap(kind, fromUs, { toUs, nodes });
    const recovered = this.#recovered?.inFlight;
    countGaps(recovered ?? this.#totals, [gap]);
    if (!recovered) return;
    this.#added.push(gap);
    this.#onAdded();
  }

  /** Adds a gap of the previous leader that the report lacks. */
  continueGap(kind: GapKind, { fromUs, toUs, nodes }: CoverageGap): void {
    this.addGap(kind, fromUs, toUs, nodes);
    this.#continued.push(createCoverageGap(kind, fromUs));
  }

  /** A late write of the previous leader was `stored`: those of its gaps that were added here, too, are counted once. */
  countOnce(stored: readonly CoverageGap[], inFlight: Totals | undefined): void {
    this.#continued = this.#continued.filter((gap) => {
      const isListed = (gaps: readonly CoverageGap[]) => gaps.some((other) => isSameGap(other, gap));
      const totals = [inFlight, this.#totals].find((each) => each && isListed(each.coverageGaps));
      if (!totals || !isListed(stored)) return true;
      totals.gaps--;
      return false;
    });
  }

  /** Adds gaps to the set in flight that an earlier process left, until it is sent; `onAdded` is called for each. */
  recover(recovered: RecoveredTotals, onAdded: () => void): void {
    this.#recovered = recovered;
    this.#onAdded = onAdded;
  }

  /** The earlier process had written that set: its added gaps that are not `stored` go with later counts. */
  addAgain(stored: readonly CoverageGap[]): void {
    const isStored = (gap: CoverageGap) => stored.some((other) => isSameGap(other, gap));
    countGaps(
      this.#totals,
      this.#added.filter((gap) => !isStored(gap)),
    );
    this.#added = [];
  }

  /** Ends the gap, if it is one of this report's, where it may have begun earlier, or twice. Returns whether it is. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes = 0): boolean {
    const ended = this.#open.filter((gap) => gap.kind === kind && gap.fromUs <= fromUs);
    if (ended.length === 0) return false;
    this.#open = this.#open.filter((gap) => !ended.includes(gap));
    const end = (gap: GapStart) => createCoverageGap(kind, gap.fromUs, { toUs, nodes });
    addGaps(this.#totals, ended.map(end));
    return true;
  }

  /** Continues gaps of a report that is given away, so that they end here. */
  continueOpen(from: OpenGaps): void {
    const isNew = (gap: GapStart) => !this.#open.some((own) => isSameGap(own, gap));
    this.#open.push(...from.#open.filter(isNew));
  }

  /**
   * Ends gaps of `stored` that lasted when another process wrote them, and that this one knows nothing of: as `ended` has
   * them, else at `us`.
   */
  endUnknown(stored: readonly CoverageGap[], us: EpochUs, ended: readonly CoverageGap[] = []): boolean {
    const isUnknown = (gap: CoverageGap) => gap.toUs === undefined && !this.#open.some((own) => isSameGap(own, gap));
    const unknown = stored.filter(isUnknown);
    const end = (gap: CoverageGap) =>
      ended.find((other) => isSameGap(other, gap)) ?? { ...gap, toUs: Math.max(us, gap.fromUs) };
    addGaps(this.#totals, unknown.map(end));
    return unknown.length > 0;
  }

  /** Keeps only the number of these occurrences. */
  addWithoutDetails(us: EpochUs, occurrences: number): void {
    this.#totals.withoutDetails += occurrences;
    this.#withoutDetails.add(us, occurrences);
  }

  /** Completes totals that are about to leave. */
  settle(): void {
    this.#addLacking();
    this.#recovered = undefined;
    addGaps(this.#totals, this.#withoutDetails.take());
  }

  /**
   * The report starts again from zero, with no gap but one that is in no report yet; `deletedUs`: it was deleted. The next
   * write says so, also where its counts are in flight already.
   */
  startAgain(inFlight: Totals | undefined, lost: Totals, deletedUs?: EpochUs): void {
    if (this.#totals.gaps + (inFlight?.gaps ?? 0) === 0) this.#open = [];
    if (deletedUs === undefined || lost.occurrences === 0) return;
    const toUs = Math.max(deletedUs, lost.firstUs);
    const deletion = createCoverageGap("Deleted", lost.firstUs, { toUs, count: lost.occurrences });
    addGaps(inFlight ?? this.#totals, [...lost.coverageGaps.filter(isDeletion), deletion]);
  }

  get #totals(): Totals {
    return this.#pending.totals;
  }
}

function countGaps(totals: Totals, gaps: readonly CoverageGap[]): void {
  totals.gaps += gaps.length;
  addGaps(totals, gaps);
}

function addGaps(totals: Totals, coverageGaps: readonly CoverageGap[]): void {
  totals.coverageGaps = mergeCoverageGaps(totals.coverageGaps, coverageGaps);
}
