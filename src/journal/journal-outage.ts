// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A time without a journal, marked in the reports that had counts in memory only. Invariant: each such report is marked
// once per outage, and no other report is.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Logger } from "../lib/logger.ts";
import { type EpochUs, toEpochUs } from "../lib/time.ts";
import { countOccurrencesLeft } from "./change-collector.ts";
import type { Journal } from "./journal.ts";

const KIND = "JournalUnavailable";

/** Milliseconds since the epoch. */
export interface PastOutage {
  kind: typeof KIND;
  fromMs: number;
  toMs: number;
}

export class JournalOutage {
  readonly #fromMs: number;
  /** Weak: an outage may outlive many reports. */
  readonly #marked = new WeakSet<Ledger>();

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  /** Marks the reports with unwritten counts that are not in the journal. */
  mark(aggregator: Aggregator, isUnprotected: (ledger: Ledger) => boolean): void {
    const isNew = (ledger: Ledger) => !this.#marked.has(ledger) && ledger.counts.unwritten > 0 && isUnprotected(ledger);
    const unmarked = new Set([...aggregator.ledgers.values()].filter(isNew));
    if (unmarked.size === 0) return;
    for (const ledger of unmarked) this.#marked.add(ledger);
    const fromUs = toEpochUs(this.#fromMs);
    aggregator.gaps.addGap(KIND, fromUs, undefined, (ledger) => (unmarked.has(ledger) ? fromUs : undefined));
  }

  ended(aggregator: Aggregator | undefined, nowMs: number): PastOutage {
    aggregator?.gaps.endGap(KIND, toEpochUs(this.#fromMs), toEpochUs(nowMs));
    return { kind: KIND, fromMs: this.#fromMs, toMs: nowMs };
  }
}

/**
 * Marks reports with counts in a journal that opened too late to continue them: counts of a process other than
 * `writerId`. If that process was killed, or a later one without a journal, counts of any report may be lost.
 * `startMs`: start of this process, in milliseconds since the epoch.
 */
export function markLost(
  aggregator: Aggregator,
  { recovered }: Journal,
  { writerId, startMs, logger }: { writerId: string; startMs: number; logger: Logger },
): void {
  if (!recovered || recovered.writerId === writerId) return;
  const occurrences = countOccurrencesLeft(recovered.reports);
  if (occurrences > 0) logger.error({ occurrences }, "journal opened late, its counts lost");
  const startUs = toEpochUs(startMs);
  const untilUs = Math.min(toEpochUs(recovered.readUntilMs), startUs);
  const listed = new Set<string>();
  for (const report of recovered.reports) {
    const fromUs = Math.min(untilUs, ...report.layers.map(({ totals }) => totals.firstUs));
    aggregator.gaps.addGapTo(report, { kind: KIND, fromUs, toUs: startUs });
    listed.add(toOutageKey(report));
  }
  if (recovered.isComplete && !recovered.isDamaged) return;
  aggregator.gaps.addGapTo(undefined, { kind: KIND, fromUs: untilUs, toUs: startUs });
  const isConcerned = (ledger: Ledger) => !listed.has(toOutageKey(ledger)) && !isRestart(ledger, startUs);
  aggregator.gaps.addGap(KIND, untilUs, startUs, (ledger) => (isConcerned(ledger) ? untilUs : undefined));
}

/** True where the report says that no operator ran before the start. */
function isRestart({ counts }: Ledger, startUs: EpochUs): boolean {
  return counts.all.coverageGaps.some(
    ({ kind, fromUs, toUs = startUs }) => kind === "NotRunning" && fromUs <= startUs && toUs >= startUs,
  );
}

function toOutageKey(report: { namespace: string | undefined; policyName: string }): string {
  return reportKey(report.namespace, report.policyName);
}
