// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes of the stream: they concern every report alike, and a report gets them when it is written. Invariant: the
// beginning of a gap and its end are added in this order.

import type { EpochUs } from "../../lib/time.ts";
import type { GapKind } from "../counts/coverage-gap.ts";
import type { Ledger } from "../ledger/ledger.ts";
import { type DeclarationParts, Declarations } from "./declarations.ts";
import { StatedGaps } from "./stated-gaps.ts";

export class LateGaps {
  /** Gaps that reports may lack, for the Lease. */
  readonly stated = new StatedGaps();
  /** Start of a gap that lasts and that is in no report and not stated yet. Milliseconds since the epoch. */
  heldSinceMs: number | undefined;
  readonly #declarations: Declarations;

  constructor(parts: DeclarationParts) {
    this.#declarations = new Declarations(parts);
  }

  /** As ReportGaps.addGap; a report gets the gap with its next write, or with writeAll. */
  addGap(kind: GapKind, fromUs: EpochUs, toUs?: EpochUs, isConcerned = (_ledger: Ledger) => true): void {
    this.#declarations.hold((ledger) => {
      if (!isConcerned(ledger)) return undefined;
      ledger.gaps.addGap(kind, fromUs, toUs);
      return "stream";
    });
  }

  /** The gap that began at `fromUs` is over; `nodes` were missing in a gap of nodes. */
  endGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes?: number): void {
    this.#declarations.hold(({ gaps }) => (gaps.endGap(kind, fromUs, toUs, nodes) ? "stream" : undefined));
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

  /** Adds to all reports, in steps, what they lack; each asks for its write. */
  writeAll(): void {
    this.heldSinceMs = undefined;
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
