// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings and parts of LeaderTakeover.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { StatedGap } from "../aggregate/gaps/stated-gaps.ts";
import type { Gap, StreamCoverage } from "../aggregate/gaps/stream-coverage.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { MovedSets } from "../reconcile/namespaces/moved-sets.ts";
import type { ReportController } from "../reconcile/report-controller.ts";
import type { ReportQueue } from "../reconcile/report-queue.ts";
import type { ReportSink } from "../sinks/report-sink.ts";
import type { UnreportedLimits } from "./standby/unreported-alerts.ts";

/** The leader before this one, as its Lease described it last. */
export interface PreviousLeader {
  /** Everything that it counted was read before this process began to read: nothing can be counted twice. */
  isSeparate?: boolean;
  /** It has released the Lease: it had written its counts, or had left them to its journal; undefined: not known. */
  isReleased?: boolean;
  /** Everything that it counted before this time, by this process's clock, is in the stored reports; undefined: not known. */
  persistedUntilMs: number | undefined;
  /** The same by its own clock, where that is no later than now: in that case a gap can be declared from there on. */
  ownPersistedUntilMs?: number | undefined;
  /** Gaps of its stream that reports may lack. Default: none. */
  statedGaps?: readonly StatedGap[];
}

export interface StandbyOptions extends UnreportedLimits {
  overlapMs: number;
}

export interface TakeoverOptions {
  /** Undefined where there is no other replica. */
  standby: StandbyOptions | undefined;
  writerId: string | undefined;
}

export interface TakeoverParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  aggregator: Aggregator;
  coverage: StreamCoverage;
  controller: ReportController;
  queue: ReportQueue;
  journaling: Journaling | undefined;
  /** Undefined without a journal. */
  movedSets: MovedSets | undefined;
  onGap: (gap: Gap) => void;
  /** As OverlapParts.otherNowMs. */
  otherNowMs?: (() => number | undefined) | undefined;
}
