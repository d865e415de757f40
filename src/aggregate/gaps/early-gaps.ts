// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Coverage gaps that are known before their report begins: alerts of it were read or may have been, and were lost.
// Invariant: bounded; beyond the bound a gap concerns every report that begins later, never fewer.

import type { EpochUs } from "../../lib/time.ts";
import { type GapKind, isSameGap, MAX_COVERAGE_GAPS } from "../counts/coverage-gap.ts";

/** A time in which alerts were not counted. */
export interface EarlyGap {
  kind: GapKind;
  fromUs: EpochUs;
  /** Undefined while it lasts. */
  toUs: EpochUs | undefined;
}

/** Bound of the reports with gaps of their own. */
const MAX_REPORTS = 10_000;

export class EarlyGaps {
  readonly #byReport = new Map<string, EarlyGap[]>();
  readonly #ofAll: EarlyGap[] = [];
  /** Gaps that were added to every report at the bound. */
  overflows = 0;

  /** Reports with gaps of their own. */
  get size(): number {
    return this.#byReport.size;
  }

  /** Adds a gap to every report that begins from now on. */
  addToAll(gap: EarlyGap): void {
    add(this.#ofAll, gap);
  }

  /** Removes a gap from the reports that begin from now on. */
  removeFromAll(kind: GapKind, fromUs: EpochUs): void {
    const at = this.#ofAll.findIndex((gap) => isSameGap(gap, { kind, fromUs }));
    if (at >= 0) this.#ofAll.splice(at, 1);
  }

  /** Adds a gap to one report, by reportKey. */
  add(key: string, gap: EarlyGap): void {
    if (this.#ofAll.some((other) => isSameGap(other, gap))) return;
    const known = this.#byReport.get(key);
    if (known) add(known, gap);
    else if (this.#byReport.size < MAX_REPORTS) this.#byReport.set(key, [gap]);
    else {
      this.addToAll(gap);
      this.overflows++;
    }
  }

  /** Ends the gaps of this kind that began at `fromUs`. */
  end(kind: GapKind, fromUs: EpochUs, toUs: EpochUs): void {
    for (const gap of [...this.#ofAll, ...[...this.#byReport.values()].flat()]) {
      if (isSameGap(gap, { kind, fromUs })) gap.toUs ??= toUs;
    }
  }

  /** Returns the gaps of a report that begins. */
  take(key: string): readonly EarlyGap[] {
    const own = this.#byReport.get(key) ?? [];
    this.#byReport.delete(key);
    return [...this.#ofAll, ...own];
  }
}

function add(gaps: EarlyGap[], gap: EarlyGap): void {
  if (gaps.some((other) => isSameGap(other, gap))) return;
  gaps.push({ ...gap });
  if (gaps.length > MAX_COVERAGE_GAPS) gaps.shift();
}
