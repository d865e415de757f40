// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes of the stream: they concern every report alike, and a report gets them when it is written. Invariant: the
// beginning of a gap and its end are added in this order.

import type { EpochUs } from "../../lib/time.ts";
import type { GapKind } from "../counts/coverage-gap.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { type DeclarationParts, Declarations } from "./declarations.ts";
import { type StatedGap, StatedGaps } from "./stated-gaps.ts";

/** A gap that is not stated, and in no report at first. */
interface HeldGap {
  /** Monotonic. */
  sinceMs: number;
  /** Monotonic time at which all reports got it; undefined before. */
  addedMs: number | undefined;
}

export class LateGaps {
  /** Gaps that reports may lack, for the Lease. */
  readonly stated = new StatedGaps();
  /** Undefined where each gap is stated or persisted in reports. */
  held: HeldGap | undefined;
  /** Begin of the oldest gap that memory alone has: nothing states it, and reports may lack it. Milliseconds since the epoch. */
  unstatedSinceMs: number | undefined;
  /** The newest time that a report may have as the one of its write (findWrittenUs). */
  #newestWriteUs: EpochUs = 0;
  readonly #declarations: Declarations;

  constructor(parts: DeclarationParts) {
    this.#declarations = new Declarations(parts);
  }

  /** As ReportGaps.addGap; a report gets the gap with its next write, or with writeAll. */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs): void {
    this.#declarations.hold((ledger) => {
      ledger.gaps.addGap(kind, fromUs, toUs);
      return "stream";
    });
  }

  /** States a gap of the previous leader at monotonic time `nowMs`, and adds it to the reports that `lacks` selects. */
  continueGap(gap: StatedGap, nowMs: number, lacks: (ledger: Ledger) => boolean): void {
    this.stated.add(gap, nowMs);
    this.addWriteTime(gap.toUs);
    this.#declarations.hold((ledger) => {
      if (!lacks(ledger)) return undefined;
      ledger.gaps.continueGap(gap.kind, gap);
      return "stream";
    });
  }

  /** The gap that began at `fromUs` is over; `nodes` were missing in a gap of nodes. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes?: number): void {
    this.#declarations.hold(({ gaps }) => (gaps.endGap(kind, fromUs, toUs, nodes) ? "stream" : undefined));
  }

  /** A report may have this time as the one of its write. */
  addWriteTime(us: EpochUs): void {
    this.#newestWriteUs = Math.max(this.#newestWriteUs, us);
  }

  /** True where the times of reports say which were written since `us`; false where the clock was set back. */
  isAfterWrites(us: EpochUs): boolean {
    return us > this.#newestWriteUs;
  }

  /** Asks for a write of every report, because the stream has been opened. */
  touchAll(): void {
    this.#declarations.hold(({ write }) => {
      write.touch();
      return "stream";
    });
  }

  /** Changes that reports may lack. */
  get waiting(): number {
    return this.#declarations.waiting;
  }

  /** Adds to all reports, in steps from monotonic time `nowMs` on, what they lack; each asks for its write. */
  writeAll(nowMs: number): void {
    if (this.held) this.held.addedMs ??= nowMs;
    this.unstatedSinceMs = undefined;
    this.#declarations.addToAll();
  }

  /** Adds to a report what it lacks. */
  addTo(ledger: Ledger): void {
    this.#declarations.addTo(ledger);
  }

  /** Adds to a report what it lacks where all get it now: it needs a write. */
  addNeeded(ledger: Ledger): void {
    if (this.#declarations.isRunning) this.addTo(ledger);
  }

  /** As Declarations.begin. */
  begin(ledger: Ledger): void {
    this.#declarations.begin(ledger);
  }

  /** As Declarations.end. */
  end(ledger: Ledger): void {
    this.#declarations.end(ledger);
  }
}
