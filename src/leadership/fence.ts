// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Fences the previous leader off a report: its write that is still under way fails once another replica has written.
// Invariant: a fence changes no count; the returned reports are the stored ones until this process writes them.

import type { Ledger } from "../aggregate/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation.ts";
import { unreachable } from "../lib/assert.ts";
import { type Clock, fullJitter } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { toReportRef } from "../reconcile/report-reconciler.ts";
import { type Mark, parseMarks } from "../reconcile/watermark.ts";
import { buildReport } from "../reconcile/write-attempt.ts";
import type { ReportSink } from "../sinks/report-sink.ts";

export interface FenceParts {
  ledgerOf: (report: Report) => Ledger;
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  /** The mark that shows that this process has shut others out. */
  markOf: (report: Report) => Mark;
}

const RETRY_BASE_MS = 250;
const RETRY_MAX_MS = 4000;

/** At the same time; each holds one connection. */
const FENCES_AT_ONCE = 4;
/** Alerts go on coming in: each round has the few reports that the one before it did not know of. */
const MAX_ROUNDS = 5;

/** Fences those of the `listed` reports that `wanted` names by reportKey. Returns the stored state of all of them. */
export async function applyFences(
  listed: readonly Report[],
  wanted: () => Iterable<string>,
  parts: FenceParts,
  signal: AbortSignal,
): Promise<readonly Report[]> {
  const stored = new Map(
    listed.map((report) => [reportKey(report.metadata.namespace, report.policy.name), report] as const),
  );
  const fenced = new Set<string>();
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const queue = [...wanted()].filter((key) => stored.has(key) && !fenced.has(key));
    if (queue.length === 0) break;
    const worker = async () => {
      for (let key = queue.shift(); key !== undefined && !signal.aborted; key = queue.shift()) {
        fenced.add(key);
        const report = await writeFence(stored.get(key) as Report, parts, signal);
        if (report) stored.set(key, report);
        else stored.delete(key);
      }
    };
    await Promise.all(Array.from({ length: FENCES_AT_ONCE }, worker));
  }
  return [...stored.values()];
}

/**
 * Writes the stored report unchanged under this writer's name, again after each conflict. Returns the stored state
 * after that: undefined where the report is gone, or where the signal aborted.
 */
async function writeFence(
  stored: Report,
  parts: FenceParts,
  signal: AbortSignal,
): Promise<Report | undefined> {
  const { sink, clock, logger, markOf } = parts;
  const ledger = parts.ledgerOf(stored);
  let current: Report = stored;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const mark = markOf(current);
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
        logger.warn(
          { ...toReportRef(ledger), answer: result.message },
          "report can't be written yet: going on without",
        );
        return current;
      case "conflict":
      case "retry":
      case "unknown":
        break;
      default:
        return unreachable(result);
    }
    if (result.kind !== "conflict") {
      await clock.sleep(
        RETRY_BASE_MS + fullJitter(attempt, RETRY_BASE_MS, RETRY_MAX_MS, clock.random()),
        signal,
      );
    }
    const read = await sink.read(toReportRef(ledger), signal);
    if (read.kind === "absent") return undefined;
    if (read.kind !== "found") continue;
    current = read.report;
    // The answer to an earlier try was lost.
    if (parseMarks(current.metadata)[0]?.id === mark.id) return current;
  }
  return undefined;
}
