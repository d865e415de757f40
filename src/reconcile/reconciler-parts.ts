// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Dependencies of the reconciler of one report.

import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { ObjectMeta, Report } from "../api/v1alpha1.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import type { EpochUs } from "../lib/time.ts";
import type { RenderOptions } from "../report/render.ts";
import type { ReportSink, WriteResult } from "../sinks/report-sink.ts";
import type { ReconcileResult } from "./reconcile-steps.ts";

export interface ReconcilerParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  render: () => RenderOptions;
  /** Names the writer in marks; undefined where the sink keeps none. */
  writerId: string | undefined;
  /** Makes a stored report (or nothing) the base of the ledger; `deletedUs`: a person deleted the one before. */
  rebase: (ledger: Ledger, report: Report | undefined, deletedUs?: EpochUs) => Steps;
  /** Called before the pending counts are taken, which happens right after the last step. */
  onTaking: () => Steps | undefined;
  /** Awaited before the commit; every count before `takenMs` (monotonic) is in the write. */
  onWritten: (ledger: Ledger, report: Report, takenMs: number) => Promise<void>;
  /** Called where another process wrote the report (`known`: before); with a result it is left alone. */
  onOvertaken?: ((found: Report, known?: ObjectMeta) => ReconcileResult | undefined) | undefined;
  /** Called when retention has removed the stored report. */
  onRemoved: () => void;
  /** Charges the budget for a large report: writes beyond the one that its turn is. */
  spend: (writes: number) => void;
  /** Called with each answer of the sink; milliseconds. */
  onResult: (kind: WriteResult["kind"], durationMs: number) => void;
}
