// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Writes changes of the ledgers to the journal, a few times a second, and at the start continues an earlier process's.
// Invariant: never delays an alert or a report. A journal that fails is logged, marked in the reports that it leaves
// unprotected, and tried again; changes that it could not take stay pending in the ledgers.

import type { Aggregator } from "../aggregate/aggregator.ts";
import { SetNumbers } from "../aggregate/counts/set-numbers.ts";
import { hasChanges } from "../aggregate/journal-changes.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { ALL, BATCH, type BatchBudget, ChangeCollector, countRows } from "./change-collector.ts";
import { type Batch, type Journal, JournalError, type Recovered } from "./journal.ts";
import { JournalOutage, markLost, type PastOutage } from "./journal-outage.ts";
import type { JournaledProcess, JournalingParts, JournalStats } from "./journaling-parts.ts";
import { ProtectedTime } from "./protected-time.ts";
import { UnclaimedReports } from "./unclaimed-reports.ts";

/** Removed reports remembered while the journal can't be written; beyond this the journal begins again. */
const MAX_REMOVED = 10_000;
/** A batch may take 1/REST_FACTOR of the time; the rest after it is no longer than MAX_REST_MS. */
const REST_FACTOR = 20;
const MAX_REST_MS = 200;
/** Interval at which the time until which alerts were read is written, also without changes. */
const HEARTBEAT_MS = 1000;
const RETRY = { minMs: 1000, maxMs: 4000 };

export class Journaling {
  /** Names this writer in the marks of reports; the same over all lives of one journal. */
  readonly writerId: string;
  /** Numbers of this process's sets of counts. */
  readonly numbers: SetNumbers;
  readonly previous: JournaledProcess;
  readonly unclaimed: UnclaimedReports;
  readonly stats: JournalStats = { batches: 0, rows: 0, failures: 0, recovered: 0 };
  /** Why counts are not protected now; undefined while they are. */
  problem: string | undefined;
  readonly #parts: JournalingParts;
  readonly #changes: ChangeCollector;
  readonly #protected: ProtectedTime;
  #journal: Journal | undefined;
  #aggregator: Aggregator | undefined;
  #onOutageEnded: (outage: PastOutage) => void = () => {};
  #outage: JournalOutage | undefined;
  #cancelTimer: (() => void) | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  /** Delay of a batch after a change. */
  #soonMs: number;
  readonly #retry: RetryPolicy;
  #retryAtMs = 0;
  #lastBatchMs: number;
  readonly #startMs: number;

  constructor(parts: JournalingParts) {
    this.#soonMs = parts.batchIntervalMs;
    this.#parts = parts;
    this.#retry = new RetryPolicy(parts.clock, RETRY);
    this.#lastBatchMs = parts.clock.monotonicMs();
    this.#startMs = parts.clock.nowMs();
    const journal = this.#open();
    const before = journal?.recovered;
    this.writerId = before?.writerId ?? parts.freshWriterId;
    const isDamaged = before?.isDamaged ?? journal?.lost !== undefined;
    const mayHaveLost = isDamaged || before?.isComplete === false;
    this.previous = { readUntilMs: before?.readUntilMs, mayHaveLost, isDamaged };
    this.#protected = new ProtectedTime(this.previous, this.#startMs);
    this.unclaimed = this.#keepUnclaimed(before);
    this.#changes = new ChangeCollector(this.unclaimed);
    this.numbers = new SetNumbers(before?.reservedSeq);
    if (journal && !before) this.#begin(journal);
    else {
      this.#journal = journal;
      this.#reserveNumbers();
    }
  }

  /** Starts journaling the aggregator's counts; called before its first ledger. */
  attach(aggregator: Aggregator, onOutageEnded: (outage: PastOutage) => void): void {
    this.#aggregator = aggregator;
    this.#onOutageEnded = onOutageEnded;
    this.#changes.attach(aggregator);
    this.#arm(HEARTBEAT_MS);
  }

  /** Schedules a batch for a change. */
  wake(): void {
    if (this.#aggregator && this.problem === undefined && this.#timerMs > this.#soonMs) this.#arm(this.#soonMs);
  }

  /** Writes a batch before a report is written that counts were moved to: a kill would have them counted twice. */
  onMoved(): void {
    if (this.#journal && this.problem === undefined) this.#tick();
  }

  /** Records that the gap before this process is in the ledgers. */
  markGapRecorded(): void {
    this.#changes.restartPass();
    this.#protected.recordGap();
  }

  /** Records that this process leads and holds alerts since `ms` that no ledger has; default: since its start. */
  recordHeld(ms = this.#startMs): void {
    this.#protected.recordHeld(ms);
  }

  /** Entries with changes that the journal lacks. */
  get waiting(): number {
    return this.#changes.waiting;
  }

  get bytes(): number {
    return this.#journal?.bytes ?? 0;
  }

  /** Time since the journal took a batch, in milliseconds. */
  get ageMs(): number {
    return this.#parts.clock.monotonicMs() - this.#lastBatchMs;
  }

  /** Writes all changes to the journal and closes it. */
  close(): void {
    this.#cancelTimer?.();
    this.#timerMs = 0;
    if (this.#journal) this.#write(this.#journal, ALL);
    this.#journal?.close();
    this.#journal = undefined;
  }

  /** Reserves a block of set numbers for this process, before it takes any set. */
  #reserveNumbers(): void {
    try {
      this.#journal?.reserve(this.numbers.reserved);
    } catch (error) {
      this.#handleFailure(error);
      this.numbers.skipRandomBlocks(this.#parts.clock.random());
    }
  }

  #arm(ms: number): void {
    this.#cancelTimer?.();
    this.#timerMs = ms;
    this.#cancelTimer = this.#parts.clock.after(ms, () => this.#tick());
  }

  #tick(): void {
    const startMs = this.#parts.clock.monotonicMs();
    if (this.problem !== undefined && startMs >= this.#retryAtMs) this.#recover();
    const isDone = !this.#journal || this.problem !== undefined || this.#write(this.#journal, BATCH);
    if (this.problem !== undefined) this.#markUnprotected();
    const tookMs = this.#parts.clock.monotonicMs() - startMs;
    this.#soonMs = Math.max(this.#parts.batchIntervalMs, Math.min(MAX_REST_MS, REST_FACTOR * tookMs));
    this.#arm(isDone ? Math.max(HEARTBEAT_MS, this.#soonMs) : this.#soonMs);
  }

  /** Retries the changes for which the journal had no room, or opens it where it is closed. */
  #recover(): void {
    this.#delayRetry();
    if (this.#journal && this.#resume(this.#journal)) return;
    const journal = this.#open();
    if (!journal) return;
    const own = { writerId: this.writerId, startMs: this.#startMs, logger: this.#parts.logger };
    if (this.#aggregator) markLost(this.#aggregator, journal, own);
    if (this.#begin(journal)) this.#write(journal, BATCH);
  }

  #open(): Journal | undefined {
    try {
      const journal = this.#parts.open();
      if (journal.lost !== undefined) {
        this.stats.failures++;
        this.#parts.logger.error({ answer: journal.lost }, "journal damaged, its counts are lost");
      }
      this.#logDamagedRows(journal.recovered?.damagedRows ?? 0);
      return journal;
    } catch (error) {
      this.#handleFailure(error);
      return undefined;
    }
  }

  #logDamagedRows(rows: number): void {
    if (rows > 0) this.#parts.logger.error({ rows }, "journal rows damaged and left out");
  }

  #keepUnclaimed(before: Recovered | undefined): UnclaimedReports {
    return new UnclaimedReports(before?.reports ?? [], {
      journal: () => this.#journal,
      onDamagedRows: (rows) => this.#logDamagedRows(rows),
      onFailure: (error) => this.#handleFailure(error),
    });
  }

  /** Starts an empty journal and makes everything pending for it. */
  #begin(journal: Journal): boolean {
    // Until the journal has the counts again, those that it had are lost with the process.
    this.#protected.lower(this.#changes.findFirstMs());
    try {
      const { writerId, numbers } = this;
      journal.begin({ writerId, readUntilMs: this.#protected.untilMs, reservedSeq: numbers.reserved });
    } catch (error) {
      journal.close();
      this.#handleFailure(error);
      return false;
    }
    this.#journal = journal;
    for (const ledger of this.#aggregator?.ledgers.values() ?? []) ledger.sets.resetLog();
    this.unclaimed.onEmptied();
    this.#aggregator?.removed.clear();
    return true;
  }

  /** Writes the changes; returns true when none is left. */
  #write(journal: Journal, budget: BatchBudget): boolean {
    const [nowMs, beforeMs] = [this.#parts.clock.nowMs(), this.#protected.untilMs];
    const moved: ReadonlyMap<string, Ledger | undefined> = this.#aggregator?.removed ?? new Map();
    const removed = [...moved.keys()];
    if (this.#protected.recordUnstated(this.#aggregator?.gaps.late.unstatedSinceMs)) this.#changes.restartPass();
    // Counts that were moved from one report to another must be in one batch.
    const first = [...moved.values()].filter((ledger) => ledger !== undefined);
    const { changes, totalsUntilMs, isAll } = this.#changes.collect(budget, nowMs, first);
    const declaredMs = this.#protected.findDeclared(totalsUntilMs);
    const readUntilMs = declaredMs ?? this.#protected.untilMs;
    const all = [...this.unclaimed.listLacking(), ...changes];
    const batch = { removed, changes: all, readUntilMs, isDeclared: declaredMs !== undefined };
    const isQuiet = removed.length + all.length === 0 && this.#protected.untilMs === beforeMs;
    if (isQuiet && budget !== ALL && this.problem === undefined && this.ageMs < HEARTBEAT_MS) return true;
    if (!this.#send(journal, batch, budget === ALL && this.#protected.mayEndComplete)) {
      this.#changes.undo(changes);
      return false;
    }
    this.#aggregator?.removed.clear();
    this.unclaimed.onWritten();
    this.stats.rows += changes.reduce((sum, { layers }) => sum + countRows(layers), 0);
    this.stats.batches++;
    this.#lastBatchMs = this.#parts.clock.monotonicMs();
    this.#protected.untilMs = readUntilMs;
    if (this.problem !== undefined && totalsUntilMs !== undefined) this.#handleRecovery(nowMs);
    return isAll;
  }

  /**
   * Frees a full volume: removes rows of counts that the reports hold by now. Returns false where there is no room even for
   * that, so that the journal was discarded.
   */
  #resume(journal: Journal): boolean {
    const changes = this.#changes.collectPersisted();
    if (this.#send(journal, { removed: [], changes, readUntilMs: this.#protected.untilMs, isDeclared: false })) {
      this.#write(journal, BATCH);
      return true;
    }
    this.#changes.undo(changes);
    if (!this.#journal || changes.length === 0) return true;
    this.#journal = undefined;
    journal.discard();
    return false;
  }

  #send(journal: Journal, batch: Omit<Batch, "reservedSeq" | "isLast">, isLast = false): boolean {
    try {
      journal.write({ ...batch, keptSeqs: this.unclaimed.lastSeqs, reservedSeq: this.numbers.reserved, isLast });
      return true;
    } catch (error) {
      this.#handleFailure(error);
      return false;
    }
  }

  #handleFailure(error: unknown): void {
    if (!(error instanceof JournalError)) throw error;
    this.stats.failures++;
    if (this.problem === undefined) {
      this.#outage = new JournalOutage(this.#parts.clock.nowMs());
      this.#parts.logger.error({ answer: error.message }, "journal failed, pending counts unprotected");
    }
    this.problem = error.message;
    this.#delayRetry();
    if (error.fault === "full" && (this.#aggregator?.removed.size ?? 0) <= MAX_REMOVED) return;
    this.#journal?.close();
    this.#journal = undefined;
  }

  #delayRetry(): void {
    this.#retryAtMs = this.#parts.clock.monotonicMs() + this.#retry.nextMs();
  }

  #handleRecovery(nowMs: number): void {
    this.#parts.logger.info({}, "journal works again");
    this.problem = undefined;
    this.#retry.reset();
    const ended = this.#outage?.ended(this.#aggregator, nowMs);
    if (ended) this.#onOutageEnded(ended);
    this.#outage = undefined;
  }

  #markUnprotected(): void {
    // The content of a closed journal is unknown.
    if (this.#aggregator) this.#outage?.mark(this.#aggregator, (ledger) => !this.#journal || hasChanges(ledger));
  }
}
