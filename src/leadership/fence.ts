// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Fences the previous leader off a report: its write that is still under way fails once another replica has written.
// Invariant: a fence changes no count.

import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import { unreachable } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { type Mark, parseMarks } from "../reconcile/marks.ts";
import { buildReport, toReportRef } from "../reconcile/write-attempt.ts";
import type { ReportSink } from "../sinks/report-sink.ts";

export interface FenceParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  /** The mark that shows that this process has shut others out. */
  createMark: (report: Report) => Mark;
}

/**
 * Writes the stored report unchanged under this writer's name, again after each conflict. Returns the stored state
 * after that: undefined where the report is gone, or where the signal aborted.
 */
export async function writeFence(
  stored: Report,
  ledger: Ledger,
  parts: FenceParts,
  signal: AbortSignal,
): Promise<Report | undefined> {
  const { sink, clock, logger, createMark } = parts;
  const retry = new RetryPolicy(clock);
  let current: Report = stored;
  while (!signal.aborted) {
    const mark = createMark(current);
    const result = await sink.write(buildReport(ledger, current, current.metadata, mark), signal);
    switch (result.kind) {
      case "written":
        return result.report;
      case "gone":
      case "namespace_gone":
        return undefined;
      case "too_large":
      case "refused":
        // The next regular write of this report meets the same error, and reports it.
        logger.warn({ ...toReportRef(ledger), answer: result.message }, "report fence refused, continuing");
        return current;
      case "conflict":
      case "retry":
      case "unknown":
        break;
      default:
        return unreachable(result);
    }
    const afterMs = result.kind === "retry" ? result.retryAfterMs : 0;
    if (result.kind !== "conflict") await clock.sleep(retry.nextMs(afterMs), signal);
    const read = await sink.read(toReportRef(ledger), signal);
    if (read.kind === "absent") return undefined;
    if (read.kind !== "found") {
      await clock.sleep(retry.nextMs(), signal);
      continue;
    }
    current = read.report;
    // The answer to an earlier try was lost.
    if (parseMarks(current.metadata)[0]?.id === mark.id) return current;
  }
  return undefined;
}
