// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings and parts of Journaling.

import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { OpenJournal } from "./journal.ts";

export interface JournalingParts {
  /** Between two batches at least, in milliseconds; more while batches take long. */
  batchIntervalMs: number;
  open: OpenJournal;
  /** The writer's name where there is no journal to continue. Unlike any other that ever was. */
  freshWriterId: string;
  clock: Clock;
  logger: Logger;
}
