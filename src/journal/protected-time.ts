// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time until which alerts that were read are in the journal or in reports: where this process is killed, the next one
// declares a gap from it. Invariant: never too late. Milliseconds since the epoch.

import type { JournaledProcess } from "./journaling-parts.ts";

export class ProtectedTime {
  untilMs: number;
  /** True once the gap before this process is in the ledgers. */
  #isGapRecorded: boolean;
  #mayHaveLost: boolean;
  /** Begin of a gap that is in no ledger yet. */
  #unstatedSinceMs: number | undefined;

  /** A process without a journal of an earlier one protects from `startMs` on. */
  constructor({ readUntilMs, mayHaveLost }: JournaledProcess, startMs: number) {
    this.untilMs = readUntilMs ?? startMs;
    this.#mayHaveLost = mayHaveLost;
    this.#isGapRecorded = !mayHaveLost && readUntilMs === undefined;
  }

  /** True where an orderly end leaves nothing that the next process has to declare. */
  get mayEndComplete(): boolean {
    return (this.#isGapRecorded || !this.#mayHaveLost) && this.#unstatedSinceMs === undefined;
  }

  /** Lowers the time: alerts since `ms` are neither in the journal nor in reports. */
  lower(ms: number): void {
    this.untilMs = Math.min(this.untilMs, ms);
  }

  /** Records that alerts since `ms` are held that no ledger has; they are lost with this process. */
  recordHeld(ms: number): void {
    this.lower(ms);
    this.#mayHaveLost = true;
    this.#isGapRecorded = false;
  }

  recordGap(): void {
    this.#isGapRecorded = true;
  }

  /**
   * Records since when a gap is in no ledger, undefined for none; returns true where one has come into the
   * ledgers: a pass over these that is under way lacks it in some.
   */
  recordUnstated(sinceMs: number | undefined): boolean {
    const isOver = this.#unstatedSinceMs !== undefined && sinceMs === undefined;
    this.#unstatedSinceMs = sinceMs;
    if (sinceMs !== undefined) this.lower(sinceMs);
    return isOver;
  }

  /** Returns `totalsUntilMs`, until which the journal has all totals, where these have all gaps, too. */
  findDeclared(totalsUntilMs: number | undefined): number | undefined {
    return this.#isGapRecorded && this.#unstatedSinceMs === undefined ? totalsUntilMs : undefined;
  }
}
