// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: keeps counts over the process's death, until a stored report holds them.
// Invariant: a batch is taken whole or not at all. A batch that was taken survives the death of the process.

import type { ViolationRow } from "../aggregate/entries/change-rows.ts";
import type { LayerRow, ReportChange } from "../aggregate/ledger/change-log.ts";

/** Reasons why a journal can't be used. */
export type JournalFault =
  /** No room, on the volume or below `maxBytes`. Its rows stay, and there may be room later. */
  | "full"
  /** Another process has it. */
  | "locked"
  /** A newer version of this program wrote it. */
  | "newer"
  /** The file no longer exists, or was replaced. */
  | "gone"
  /** Anything else: no directory, no right to write, a broken device. */
  | "failed";

/** Thrown for a journal that can't be used now; the message names the problem and the remedy. */
export class JournalError extends Error {
  override name = "JournalError";
  readonly fault: JournalFault;
  constructor(fault: JournalFault, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.fault = fault;
  }
}

/** Rows written in one transaction. */
export interface Batch {
  /** Keys of reports; all their rows are removed before the changes. */
  removed: readonly string[];
  /** Sets up to this one stay where the rows of a report are removed: an earlier process left them. Default: none. */
  keptSeqs?: ReadonlyMap<string, number>;
  changes: readonly ReportChange[];
  /** Alerts that were read until then are in the journal or in reports. Milliseconds since the epoch. */
  readUntilMs: number;
  /** No set of counts that this process has taken, or takes before the next batch, has a larger number. */
  reservedSeq: number;
  /** The reports, with those in this batch, have gaps for what an earlier process lost. */
  isDeclared: boolean;
  /** The process ends in order: all its counts are in this batch, in earlier ones or in reports. */
  isLast: boolean;
}

/** The open sets of one report, oldest first; `readViolations` reads their violations. */
export interface RecoveredReport {
  namespace: string | undefined;
  policyName: string;
  layers: Omit<LayerRow, "violations">[];
  /** Totals of a set were damaged, so that counts may be lost. */
  isDamaged: boolean;
}

/** Rows of an earlier process. */
export interface Recovered {
  /** Writer of this journal: the name under which its sets are in reports. */
  writerId: string;
  /** Alerts that were read until then are in the journal or in reports. Milliseconds since the epoch. */
  readUntilMs: number;
  reservedSeq: number;
  /** The process has ended in order; otherwise counts may have been lost with it. */
  isComplete: boolean;
  /** Rows with a wrong checksum, except those of violations; they are left out. */
  damagedRows: number;
  /** Totals of an unknown report are damaged or gone. */
  isDamaged: boolean;
  reports: RecoveredReport[];
}

/** Some violations of one set, in the order of their keys. */
export interface ViolationPage {
  violations: ViolationRow[];
  /** The key after which the next page begins; undefined with the last one. */
  last: string | undefined;
  /** Rows with a wrong checksum; they are left out. */
  damagedRows: number;
}

/** An open journal. After an error other than `full` it is to be closed and opened again. */
export interface Journal {
  /** Its rows when it was opened, except those of violations; undefined for a new one. */
  readonly recovered: Recovered | undefined;
  /** Set when an unreadable file was put aside; its counts are lost. */
  readonly lost: string | undefined;
  /** Bytes on the volume. */
  readonly bytes: number;
  /** Forgets everything and belongs to `writerId` from now on. Throws JournalError. */
  begin(life: Pick<Recovered, "writerId" | "readUntilMs" | "reservedSeq">): void;
  /** Reserves the numbers of sets up to `seq` for a process that continues the journal. Throws JournalError. */
  reserve(seq: number): void;
  /** Throws JournalError. */
  write(batch: Batch): void;
  /** Reads the violations after the key `after` of a set; `report` is a reportKey. Throws JournalError. */
  readViolations(report: string, seq: number, after: string): ViolationPage;
  close(): void;
  /** Closes it and deletes its contents as far as possible. */
  discard(): void;
}

/** Opens the journal; throws JournalError. */
export type OpenJournal = () => Journal;
