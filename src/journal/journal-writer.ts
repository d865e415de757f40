// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tells the journal what the ledgers hold, a few times a second, and gets back at the start what an earlier process held.
// Invariant: never in the way of an alert or of a report: a journal that fails is told of, marked in the reports that
// it leaves unprotected, and tried again.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { LayerRow } from "../aggregate/change-log.ts";
import { hasChanges } from "../aggregate/journal-changes.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import { SetNumbers } from "../aggregate/set-numbers.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { ChangeCollector, rowsOf } from "./change-collector.ts";
import { type Batch, type Journal, JournalError, type OpenJournal, type RecoveredReport } from "./journal.ts";
import { JournalOutage, keyOf, markLost, type PastOutage } from "./journal-outage.ts";

export interface JournalingParts {
  /** Between two batches at least, in milliseconds; more while batches take long. */
  batchIntervalMs: number;
  open: OpenJournal;
  /** The writer's name where there is no journal to continue. Unlike any other that ever was. */
  freshWriterId: string;
  clock: Clock;
  logger: Logger;
}

/** Rows of one batch, about: a few milliseconds of work, in which no alert is read. */
const BATCH_ROWS = 250;
/** A batch may take this part of the time, one in so many; the rest after it is no longer than MAX_REST_MS. */
const REST_FACTOR = 20;
const MAX_REST_MS = 60;
/** How often a quiet journal is told until when alerts were read, and a broken one is tried again. */
const HEARTBEAT_MS = 1000;
const RETRY_MS = 5000;

export class Journaling {
  /** Names this writer in the watermark of reports; the same over all lives of one journal. */
  readonly writerId: string;
  /** Numbers of this process's sets of counts. */
  readonly numbers: SetNumbers;
  /** Until when an earlier process read alerts, in milliseconds since the epoch; undefined when nobody knows. */
  readonly readUntilMs: number | undefined;
  /** Why counts are not protected now; undefined while they are. */
  problem: string | undefined;
  batches = 0;
  rows = 0;
  failures = 0;
  /** Occurrences of an earlier process that no report held. */
  recovered = 0;
  readonly #parts: JournalingParts;
  readonly #unclaimed = new Map<string, RecoveredReport>();
  readonly #changes: ChangeCollector;
  /** Whether counts of an earlier process may have been lost with it, of any report. */
  readonly mayHaveLost: boolean;
  /** Alerts that were read until then are in the journal or in reports. Milliseconds since the epoch. */
  #protectedUntilMs: number;
  /** Whether the gap before this process is in the ledgers, so that `protectedUntilMs` may pass it. */
  #isGapTold = false;
  #journal: Journal | undefined;
  #aggregator: Aggregator | undefined;
  /** Taken from the ledgers, and not taken by the journal yet. */
  #held: Pick<Batch, "removed" | "changes"> | undefined;
  #onOutageEnded: (outage: PastOutage) => void = () => {};
  #outage: JournalOutage | undefined;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  /** After a change the next batch is this far away. */
  #soonMs: number;
  #retryMs = 0;
  #lastBatchMs: number;

  constructor(parts: JournalingParts) {
    this.#soonMs = parts.batchIntervalMs;
    this.#parts = parts;
    this.#lastBatchMs = parts.clock.nowMs();
    const journal = this.#open();
    const before = journal?.recovered;
    this.writerId = before?.writerId ?? parts.freshWriterId;
    this.readUntilMs = before?.readUntilMs;
    this.mayHaveLost = journal?.lost !== undefined || before?.isComplete === false;
    this.#protectedUntilMs = this.readUntilMs ?? this.#lastBatchMs;
    this.#isGapTold = !this.mayHaveLost && before === undefined;
    this.#changes = new ChangeCollector(this.#unclaimed);
    this.numbers = new SetNumbers(before?.reservedSeq);
    for (const report of before?.reports ?? []) this.#unclaimed.set(keyOf(report), report);
    if (journal && !before) this.#begin(journal);
    else {
      this.#journal = journal;
      this.#reserveNumbers();
    }
  }

  /** Begins to take note of what the aggregator holds; before its first ledger. */
  attach(aggregator: Aggregator, onOutageEnded: (outage: PastOutage) => void): void {
    this.#aggregator = aggregator;
    this.#onOutageEnded = onOutageEnded;
    this.#changes.attach(aggregator);
    this.#arm(HEARTBEAT_MS);
  }

  /** Something has changed. */
  wake(): void {
    if (this.#aggregator && this.problem === undefined && this.#timerMs > this.#soonMs)
      this.#arm(this.#soonMs);
  }

  /** The sets of a report that an earlier process left, for the one who continues it; once. */
  claim(key: string): LayerRow[] {
    const layers = this.#unclaimed.get(key)?.layers ?? [];
    this.#unclaimed.delete(key);
    return layers;
  }

  /** The ledgers know of the time in which nobody ran. */
  gapTold(): void {
    this.#isGapTold = true;
  }

  /** Reports of which an earlier process left something, and which nobody has claimed. */
  get unclaimed(): Pick<RecoveredReport, "namespace" | "policyName">[] {
    return [...this.#unclaimed.values()];
  }

  /** Entries that changed since the journal was told of them. */
  get waiting(): number {
    let sum = 0;
    for (const ledger of this.#aggregator?.ledgers.values() ?? []) sum += ledger.log?.waiting ?? 0;
    return sum;
  }

  get bytes(): number {
    return this.#journal?.bytes ?? 0;
  }

  /** How long ago the journal took a batch, in milliseconds. */
  get ageMs(): number {
    return this.#parts.clock.nowMs() - this.#lastBatchMs;
  }

  /** Tells the journal everything and closes it. */
  close(): void {
    this.#cancelTimer?.();
    this.#timerMs = 0;
    if (this.#journal) this.#write(this.#journal, Number.POSITIVE_INFINITY);
    this.#journal?.close();
    this.#journal = undefined;
  }

  /** Stores that this process draws from a block of its own, before it takes any set. */
  #reserveNumbers(): void {
    try {
      this.#journal?.reserve(this.numbers.reserved);
    } catch (error) {
      this.#failed(error);
      this.numbers.skipRandomBlocks(this.#parts.clock.random());
    }
  }

  #arm(ms: number): void {
    this.#cancelTimer?.();
    this.#timerMs = ms;
    this.#cancelTimer = this.#parts.clock.after(ms, () => this.#tick());
  }

  #tick(): void {
    const startMs = this.#parts.clock.nowMs();
    if (this.problem !== undefined && startMs >= this.#retryMs) this.#retry();
    let isDone = true;
    if (this.#journal && this.problem === undefined) isDone = this.#write(this.#journal, BATCH_ROWS);
    if (this.problem !== undefined) this.#markUnprotected();
    const tookMs = this.#parts.clock.nowMs() - startMs;
    this.#soonMs = Math.max(this.#parts.batchIntervalMs, Math.min(MAX_REST_MS, REST_FACTOR * tookMs));
    this.#arm(isDone ? Math.max(HEARTBEAT_MS, this.#soonMs) : this.#soonMs);
  }

  /** Opens the journal where it is closed; else tries what it had no room for. */
  #retry(): void {
    this.#retryMs = this.#parts.clock.nowMs() + RETRY_MS;
    if (this.#journal) {
      if (this.#writeLanded(this.#journal)) this.#write(this.#journal, BATCH_ROWS);
      return;
    }
    const journal = this.#open();
    if (!journal) return;
    if (this.#aggregator) markLost(this.#aggregator, journal, this.writerId, this.#parts);
    if (this.#begin(journal)) this.#write(journal, BATCH_ROWS);
  }

  #open(): Journal | undefined {
    try {
      const journal = this.#parts.open();
      if (journal.lost !== undefined) {
        this.failures++;
        this.#parts.logger.error({ answer: journal.lost }, "journal was broken: what it held is lost");
      }
      return journal;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** Makes an empty journal of it, which is then told everything that is open. */
  #begin(journal: Journal): boolean {
    try {
      const { writerId, numbers } = this;
      journal.begin({ writerId, readUntilMs: this.#protectedUntilMs, reservedSeq: numbers.reserved });
    } catch (error) {
      journal.close();
      this.#failed(error);
      return false;
    }
    this.#journal = journal;
    for (const ledger of this.#aggregator?.ledgers.values() ?? []) ledger.resetLog();
    const toChange = (report: RecoveredReport) => ({ ...report, isAnew: false, persistedSeq: 0 });
    this.#held = { removed: [], changes: [...this.#unclaimed.values()].map(toChange) };
    return true;
  }

  /** Writes what has changed; returns whether nothing is left. */
  #write(journal: Journal, budget: number): boolean {
    if (this.#held && !this.#send(journal, this.#held)) return false;
    const removed = this.#aggregator?.takeRemoved() ?? [];
    // What has moved from one report to another must be in one batch.
    const { changes, isAll } = this.#changes.collect(removed.length > 0 ? Number.POSITIVE_INFINITY : budget);
    const isQuiet = removed.length === 0 && changes.length === 0;
    if (isQuiet && this.problem === undefined && this.ageMs < HEARTBEAT_MS) return true;
    return this.#send(journal, { removed, changes }, isAll, budget === Number.POSITIVE_INFINITY) && isAll;
  }

  /** `isAll`: with this batch the journal holds everything that was counted until now. */
  #send(journal: Journal, held: Pick<Batch, "removed" | "changes">, isAll = false, isLast = false): boolean {
    this.#held = held;
    const nowMs = this.#parts.clock.nowMs();
    const readUntilMs = isAll && this.#isGapTold ? nowMs : this.#protectedUntilMs;
    try {
      journal.write({ ...held, readUntilMs, reservedSeq: this.numbers.reserved, isLast });
      this.#protectedUntilMs = readUntilMs;
    } catch (error) {
      this.#failed(error);
      return false;
    }
    this.#held = undefined;
    this.#lastBatchMs = nowMs;
    this.batches++;
    this.rows += held.changes.reduce((sum, { layers }) => sum + rowsOf(layers), 0);
    if (this.problem !== undefined) this.#worksAgain(nowMs);
    return true;
  }

  /** Where there is no room, what stands in reports by now is forgotten first. */
  #writeLanded(journal: Journal): boolean {
    const changes = this.#changes.collectPersisted();
    const held = this.#held ?? { removed: [], changes: [] };
    try {
      const readUntilMs = this.#protectedUntilMs;
      journal.write({ removed: [], changes, readUntilMs, reservedSeq: this.numbers.reserved, isLast: false });
      return true;
    } catch (error) {
      this.#held = { removed: held.removed, changes: [...changes, ...held.changes] };
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof JournalError)) throw error;
    this.failures++;
    if (this.problem === undefined) {
      this.#outage = new JournalOutage(this.#parts.clock.nowMs());
      this.#parts.logger.error(
        { answer: error.message },
        "journal fails: what is not yet written would be lost if this process died",
      );
    }
    this.problem = error.message;
    this.#retryMs = this.#parts.clock.nowMs() + (error.fault === "full" ? HEARTBEAT_MS : RETRY_MS);
    if (error.fault === "full") return;
    this.#journal?.close();
    this.#journal = undefined;
    this.#held = undefined;
  }

  #worksAgain(nowMs: number): void {
    this.#parts.logger.info({}, "journal works again");
    this.problem = undefined;
    const ended = this.#outage?.ended(this.#aggregator, nowMs);
    if (ended) this.#onOutageEnded(ended);
    this.#outage = undefined;
  }

  #markUnprotected(): void {
    const held = new Set(this.#held?.changes.filter(({ layers }) => layers.length > 0).map(keyOf));
    // Of a journal that is closed nobody knows what is left of it.
    const isUnprotected = (ledger: Ledger) => !this.#journal || hasChanges(ledger) || held.has(keyOf(ledger));
    if (this.#aggregator) this.#outage?.mark(this.#aggregator, isUnprotected);
  }
}
