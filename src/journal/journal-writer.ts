// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Tells the journal what the ledgers hold, a few times a second, and gets back at the start what an earlier process held.
// Invariant: never in the way of an alert or of a report: a journal that fails is told of, marked in the reports that
// it leaves unprotected, and tried again.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { LayerRow } from "../aggregate/change-log.ts";
import { hasChanges } from "../aggregate/journal-changes.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { ChangeCollector, occurrencesLeft, rowsOf } from "./change-collector.ts";
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
  /** Until when alerts were read before a gap that no report tells yet: should this process die, it is the next's. */
  #untoldMs: number | undefined;
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
    this.readUntilMs = before?.readUntilMs || undefined;
    this.#untoldMs = this.readUntilMs;
    this.#changes = new ChangeCollector(before?.lastSeq ?? 0, this.#unclaimed);
    for (const report of before?.reports ?? []) this.#unclaimed.set(keyOf(report), report);
    if (journal && !before) this.#begin(journal);
    else this.#journal = journal;
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
    this.#tellLeftOver(journal);
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
      journal.begin(this.writerId);
    } catch (error) {
      journal.close();
      this.#failed(error);
      return false;
    }
    this.#journal = journal;
    for (const ledger of this.#aggregator?.ledgers.values() ?? []) ledger.resetLog();
    const left = [...this.#unclaimed.values()];
    this.#held = {
      removed: [],
      changes: left.map((report) => ({ ...report, isAnew: false, persistedSeq: 0 })),
    };
    return true;
  }

  /** Another journal than the one this process has kept so far: what is in it came too late to be continued. */
  #tellLeftOver({ recovered }: Journal): void {
    if (!recovered || recovered.writerId === this.writerId) return;
    const occurrences = occurrencesLeft(recovered.reports);
    if (occurrences === 0) return;
    this.#parts.logger.error(
      { occurrences },
      "journal could be opened only after the start: occurrences in it that no report holds are lost",
    );
    if (this.#aggregator) markLost(this.#aggregator, recovered, this.#parts.clock.nowMs());
  }

  /** Writes what has changed; returns whether nothing is left. */
  #write(journal: Journal, budget: number): boolean {
    if (this.#held && !this.#send(journal, this.#held)) return false;
    const removed = this.#aggregator?.takeRemoved() ?? [];
    // What has moved from one report to another must be in one batch.
    const { changes, isAll } = this.#changes.collect(removed.length > 0 ? Number.POSITIVE_INFINITY : budget);
    const isQuiet = removed.length === 0 && changes.length === 0;
    if (isQuiet && this.problem === undefined && this.ageMs < HEARTBEAT_MS) return true;
    const isDone = this.#send(journal, { removed, changes }) && isAll;
    if (isDone && this.#isGapTold) this.#untoldMs = undefined;
    return isDone;
  }

  #send(journal: Journal, held: Pick<Batch, "removed" | "changes">): boolean {
    this.#held = held;
    const nowMs = this.#parts.clock.nowMs();
    try {
      journal.write({ ...held, ...this.#head(nowMs) });
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

  #head(nowMs: number): Pick<Batch, "readUntilMs" | "lastSeq"> {
    return { readUntilMs: this.#untoldMs ?? nowMs, lastSeq: this.#changes.lastSeq };
  }

  /** Where there is no room, what stands in reports by now is forgotten first. */
  #writeLanded(journal: Journal): boolean {
    const changes = this.#changes.collectPersisted();
    const held = this.#held ?? { removed: [], changes: [] };
    try {
      journal.write({ removed: [], changes, ...this.#head(this.#parts.clock.nowMs()) });
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
