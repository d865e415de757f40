// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Lists the stored reports and hands over each one as soon as it is read; the sink reads the next page meanwhile.
// Invariant: a report that gets alerts added is fenced first, where that can save it from a gap; no step visits more
// than VIOLATIONS_PER_STEP violations and one report; no report is kept.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { createSpend } from "../lib/pacing/steps.ts";
import { createFenceId, findPersistedSeq, type Mark, parseMarks } from "../reconcile/marks.ts";
import { toReportRef } from "../reconcile/write-attempt.ts";
import { isNamedRight } from "../report/parse.ts";
import type { ReportSink } from "../sinks/report-sink.ts";
import { writeFence } from "./fence.ts";
import type { ReportRestore } from "./report-restore.ts";

export interface LoaderParts {
  sink: ReportSink;
  clock: Clock;
  logger: Logger;
  aggregator: Aggregator;
  restore: ReportRestore;
  /** True where there may be other replicas. */
  isShared: boolean;
  /** Reports that get a standby's alerts; none where no other replica counted the alerts read here. */
  listHeldKeys: () => Iterable<string>;
  isHeld: (key: string) => boolean;
  writerId: string | undefined;
  /** Called with each stored report, after its fence; again with a later state of it. */
  onReport: (report: Report) => void;
}

/** State of the list before the first try. */
export const NOT_TRIED = "not yet tried";
/** Some milliseconds of work. */
export const VIOLATIONS_PER_STEP = 500;
/** At the same time; each holds one connection. */
const FENCES_AT_ONCE = 4;
/** Alerts go on coming in: each round has the few reports that the one before it did not know of. */
const MAX_ROUNDS = 5;

export class ReportLoader {
  readonly #parts: LoaderParts;
  readonly #loaded = new Set<string>();
  readonly #fenced = new Set<string>();
  readonly #running = new Set<Promise<void>>();

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /**
   * Loads all reports that are not loaded yet. Throws SinkError; may be called again then, or after an abort. Without
   * `fences` a late write of the previous leader is found at the next write of its report.
   */
  async run(fences: boolean, signal: AbortSignal): Promise<void> {
    const { sink, clock } = this.#parts;
    const spend = createSpend(clock, VIOLATIONS_PER_STEP);
    try {
      for await (const report of sink.list(signal)) {
        if (signal.aborted) return;
        if (!isNamedRight(report)) continue;
        const key = toKey(report);
        if (this.#loaded.has(key)) continue;
        this.#recordWriter(key, report);
        if (fences && this.#parts.isHeld(key)) await this.#fenceSoon(key, report, signal);
        else await this.#hand(key, report);
        await spend(1 + report.violations.length);
      }
    } finally {
      await Promise.all(this.#running);
    }
    if (!fences) return;
    for (let round = 0; round < MAX_ROUNDS && (await this.#fenceMore(signal)); round++);
  }

  /** Remembers which reports another writer has written last, before a fence puts this writer's name there. */
  #recordWriter(key: string, { metadata }: Report): void {
    const { isShared, restore, writerId } = this.#parts;
    if (isShared && parseMarks(metadata)[0]?.id !== writerId) restore.overtaken.add(key);
  }

  async #hand(key: string, report: Report): Promise<void> {
    this.#loaded.add(key);
    await this.#parts.restore.adopt(report);
    this.#parts.onReport(report);
  }

  /** Starts a fence as soon as fewer than FENCES_AT_ONCE are under way. */
  async #fenceSoon(key: string, report: Report, signal: AbortSignal): Promise<void> {
    while (this.#running.size >= FENCES_AT_ONCE) await Promise.race(this.#running);
    const running = this.#fence(key, report, signal).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #fence(key: string, report: Report, signal: AbortSignal): Promise<void> {
    const { aggregator, writerId } = this.#parts;
    if (writerId === undefined) return await this.#hand(key, report);
    const { metadata, policy } = report;
    const ledger = aggregator.ledger(metadata.namespace, policy.name);
    const createMark = (current: Report) => this.#createMark(current, writerId);
    const fenced = await writeFence(report, ledger, { ...this.#parts, createMark }, signal);
    if (signal.aborted) return;
    this.#fenced.add(key);
    if (fenced) await this.#hand(key, fenced);
  }

  /** Fences the loaded reports for which alerts have been held since; returns false where there are none. */
  async #fenceMore(signal: AbortSignal): Promise<boolean> {
    const { aggregator, sink, listHeldKeys } = this.#parts;
    const keys = [...listHeldKeys()].filter((key) => this.#loaded.has(key) && !this.#fenced.has(key));
    for (const key of keys) {
      if (signal.aborted) return false;
      this.#fenced.add(key);
      const ledger = aggregator.ledgers.get(key);
      const read = ledger && (await sink.read(toReportRef(ledger), signal));
      // Without a fence a late write is found at the next write of this report.
      if (read?.kind === "found") await this.#fenceSoon(key, read.report, signal);
    }
    await Promise.all(this.#running);
    return keys.length > 0;
  }

  /**
   * A fence brings no counts, so that an own mark stays as it was. Where another replica has written since, counts that
   * this writer's journal still holds must not look as if no other had written: the mark names no writer.
   */
  #createMark(report: Report, writerId: string): Mark {
    const isOvertaken = this.#parts.restore.overtaken.has(toKey(report));
    if (isOvertaken) return { id: createFenceId(writerId), seq: 1 };
    return { id: writerId, seq: findPersistedSeq(report.metadata, writerId) };
  }
}

function toKey({ metadata, policy }: Report): string {
  return reportKey(metadata.namespace, policy.name);
}
