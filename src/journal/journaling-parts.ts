// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings and parts of Journaling.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { OpenJournal } from "./journal.ts";

/** Counts since the start. */
export interface JournalStats {
  batches: number;
  rows: number;
  failures: number;
  /** Occurrences of an earlier process that no report held. */
  recovered: number;
}

/** Facts about the process that the journal continues. */
export interface JournaledProcess {
  /** Time until which it read alerts, in milliseconds since the epoch; undefined when unknown. */
  readUntilMs: number | undefined;
  /** True where its counts of any report may have been lost. */
  mayHaveLost: boolean;
  /** True where damaged rows belong to unknown reports. */
  isDamaged: boolean;
}

export interface JournalingParts {
  /** Least time between two batches, in milliseconds; longer while batches take long. */
  batchIntervalMs: number;
  open: OpenJournal;
  /** The writer's name where there is no journal to continue; never used before. */
  freshWriterId: string;
  clock: Clock;
  logger: Logger;
}
