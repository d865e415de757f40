// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Numbers of the sets of counts of one report, and the log of their changes for a journal.
// Invariant: the number of the pending set only grows.

import { assert } from "../../lib/assert.ts";
import { SetNumbers } from "../counts/set-numbers.ts";
import type { ChangeLog, OpenSet, PendingSet } from "./change-log.ts";
import type { LedgerCounts } from "./ledger-counts.ts";
import type { LedgerParts } from "./ledger-parts.ts";
import type { ReportEntries } from "./report-entries.ts";

export class SetSequence {
  /** Changes that the journal lacks; undefined without a journal. */
  readonly log: ChangeLog | undefined;
  readonly #entries: ReportEntries;
  readonly #counts: LedgerCounts;
  readonly #numbers: SetNumbers;
  #pending: number;
  #inFlight = 0;

  constructor({ log, numbers = new SetNumbers() }: LedgerParts, entries: ReportEntries, counts: LedgerCounts) {
    this.log = log;
    this.#entries = entries;
    this.#counts = counts;
    this.#numbers = numbers;
    this.#pending = numbers.next();
  }

  /** The number of the set in flight; it names these very counts for as long as the report lives. */
  get inFlight(): number {
    assert(this.#counts.inFlight, "a set is in flight");
    return this.#inFlight;
  }

  /** The number of the set of counts that the next take puts in flight. */
  get pending(): number {
    return this.#pending;
  }

  /** The sets that no stored report holds. */
  open(): { inFlight: OpenSet | undefined; pending: PendingSet } {
    const totals = this.#counts.inFlight;
    const pending = { seq: this.#pending, counts: this.#entries.pending };
    return { inFlight: totals && { seq: this.#inFlight, totals }, pending };
  }

  /** Records that the stored report holds the sets up to `seq`, of an earlier process. */
  markPersisted(seq: number): void {
    if (seq > 0) this.log?.markPersisted(seq);
    this.advance(seq);
  }

  /** Renumbers the pending set where an earlier process may have used its number. */
  advance(seq: number): void {
    this.#numbers.skip(seq);
    if (seq < this.#pending) return;
    this.#pending = this.#numbers.next();
    // The journal may know the pending set by its old number.
    this.resetLog();
  }

  /** Has the journal delete the report's rows and write all that is pending again, batch by batch. */
  resetLog(): void {
    const { inFlight, pending } = this.#entries;
    this.log?.reset(inFlight, pending.entries.list, pending.takeCells());
  }

  /** Numbers the set that goes in flight, and the new pending set. */
  take(): void {
    this.#inFlight = this.#numbers.close(this.#pending);
    this.#pending = this.#numbers.next();
  }

  /** Numbers what goes in flight as an earlier process did. */
  recover(seq: number): void {
    this.#inFlight = seq;
  }

  /** Records that the stored report holds the set that was in flight. */
  commit(): void {
    this.log?.markPersisted(this.#inFlight);
  }
}
