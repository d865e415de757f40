// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of one shard of nodes in a reader, from the alert to the drained counts.
// Invariant: counts are given only while this process holds the shard. What it counted while it did not is given when it
// holds it again and no other process did meanwhile, and dropped otherwise.

import { Aggregator } from "../../aggregate/aggregator.ts";
import { getCellBounds, type MemoryLimits } from "../../aggregate/memory-budget.ts";
import { resolveEntries } from "../../aggregate/unresolved-entries.ts";
import type { AlertListener } from "../../alerts/alert-source.ts";
import type { Alert, RawAlert } from "../../api/alert.ts";
import type { Disconnect, SourceRejection } from "../../api/alert-stream.ts";
import type { CoveredNodes } from "../../api/v1alpha1.ts";
import type { AlertTally } from "../../ingest/alert-tally.ts";
import { AlertHash } from "../../ingest/cells/alert-hash.ts";
import { CellStore } from "../../ingest/cells/cell-store.ts";
import { DuplicateFilter, type DuplicateWindow } from "../../ingest/duplicates.ts";
import { rememberClean } from "../../ingest/evidence/clean-texts.ts";
import { createRedactor, type RedactionOptions } from "../../ingest/evidence/redact.ts";
import { Ingest } from "../../ingest/ingest.ts";
import { IngestCounters, type Rejection } from "../../ingest/ingest-counters.ts";
import { SubjectNames } from "../../ingest/violation/subject-names.ts";
import type { Scope } from "../../ingest/violation/violation.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import { toEpochUs } from "../../lib/time.ts";
import {
  type DeltaContents,
  drainReport,
  type GapNotice,
  type Notice,
  type ReportDelta,
  type ShardState,
} from "../messages/delta.ts";

export interface ShardCountsOptions {
  memory: MemoryLimits;
  duplicates: DuplicateWindow;
  redaction: RedactionOptions;
  partitions: number;
}

export interface ShardCountsParts {
  clock: Clock;
  getPartition: (key: string) => number;
  onRejected: (reason: Rejection, detail: string) => void;
}

/** Only alerts raised at least this long after a stream has opened are certain to be sent by KubeArmor. */
const OPENING_MS = 2_000;
/** Notices that wait for one partition; beyond it they become one gap. */
const MAX_NOTICES = 500;
/** Each becomes a part of a message, with its evidence. */
const VIOLATIONS_PER_STEP = 32;

export class ShardCounts implements AlertListener {
  readonly counters = new IngestCounters();
  /** Time at which all nodes of the shard were connected first. Milliseconds since the epoch. */
  connectedMs: number | undefined;
  lastAlertMs = 0;
  readonly #parts: ShardCountsParts;
  readonly #aggregator: Aggregator;
  readonly #ingest: Ingest;
  readonly #notices: Notice[][];
  readonly #names = new SubjectNames();
  readonly #rejected = new Map<string, { scope: Scope | undefined; count: number }>();
  #onConnected: (nowMs: number) => void = () => {};
  #down: { fromUs: number } | undefined;
  readonly #startMs: number;

  constructor({ memory, duplicates, redaction, partitions }: ShardCountsOptions, parts: ShardCountsParts) {
    const { clock } = parts;
    this.#startMs = clock.nowMs();
    const redact = rememberClean(createRedactor(redaction, this.counters));
    const cells = new CellStore(getCellBounds(memory), redact);
    const seed = () => Math.floor(clock.random() * 2 ** 32) | 0;
    this.#parts = parts;
    this.#notices = Array.from({ length: partitions }, () => []);
    this.#aggregator = new Aggregator(memory, () => {}, undefined, { cells });
    const tally = this.#createTally(this.#aggregator);
    this.#ingest = new Ingest({
      selector: { tally },
      findRefusal: (namespace) => this.#aggregator.findRefusal(namespace),
      names: this.#names,
      hash: new AlertHash({ low: seed(), high: seed() }),
      duplicates: new DuplicateFilter(duplicates),
      cells,
      redact,
      limitsSearch: true,
      counters: this.counters,
      nowUs: () => toEpochUs(this.lastAlertMs),
      onRejected: (reason, detail, _line, scope) => {
        parts.onRejected(reason, detail);
        if (scope !== null) this.#countRejected(scope);
      },
      onThrottled: () => {},
    });
  }

  /** Time since which nodes of the shard may be missing; undefined while all are read. Milliseconds since the epoch. */
  get missingSinceMs(): number | undefined {
    if (this.#down) return this.#down.fromUs / 1000;
    return this.connectedMs === undefined ? this.#startMs : undefined;
  }

  /** State of the shard, which has these nodes; a shard without a node misses none. */
  describe(index: number, { desired, connected }: CoveredNodes): ShardState {
    const sinceMs = desired === 0 ? undefined : this.missingSinceMs;
    return { index, desired, connected, missingSinceUs: sinceMs === undefined ? null : toEpochUs(sinceMs) };
  }

  /** Counted alerts that were not drained. */
  get pending(): number {
    return this.#aggregator.stats.unwritten;
  }

  onAlert(alert: Alert | RawAlert, line: number): void {
    this.lastAlertMs = this.#parts.clock.nowMs();
    this.#ingest.alert(alert, line);
  }

  onRejected(reason: SourceRejection, detail: string, line: number): void {
    this.#ingest.rejected(reason, detail, line);
  }

  onConnected(ended?: { nodes: number }): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.connectedMs === undefined) {
      this.connectedMs = nowMs;
      this.#onConnected(nowMs);
    }
    if (this.#down) this.addGap({ kind: "NodeDown", ...this.#down, nodes: ended?.nodes ?? 0 });
    this.#down = undefined;
  }

  onDisconnected({ lastReadMs }: Disconnect): void {
    this.#down = { fromUs: toEpochUs(lastReadMs) };
    this.#notify({ type: "gap", kind: "NodeDown", ...this.#down, toUs: null, nodes: 0, count: 0 });
  }

  /** Calls `onConnected` once, when all nodes of the shard are connected. */
  whenConnected(onConnected: (nowMs: number) => void): void {
    this.#onConnected = onConnected;
  }

  /** Declares a gap until now, when streams have been opened, in every report. */
  addGap(gap: Pick<GapNotice, "kind" | "fromUs" | "nodes">): void {
    const toUs = toEpochUs(this.#parts.clock.nowMs() + OPENING_MS);
    this.#notify({ type: "gap", toUs, count: 0, ...gap });
  }

  /**
   * Takes the counts and notices for one partition. What is counted between the steps is taken with them, or by the next
   * call.
   */
  *drain(partition: number): Steps<DeltaContents> {
    this.#takeRejected();
    const reports: ReportDelta[] = [];
    const ofPartition = [...this.#aggregator.ledgers].filter(([key]) => this.#parts.getPartition(key) === partition);
    let visits = 0;
    for (const [key, ledger] of ofPartition) {
      visits += 1 + ledger.entries.size;
      if (visits > VIOLATIONS_PER_STEP) {
        yield;
        visits = 0;
      }
      const joined = yield* resolveEntries(ledger, this.#names);
      this.counters.joined += joined;
      this.#aggregator.detach(key);
      const report = yield* drainReport(ledger);
      if (report) reports.push(report);
    }
    return { reports, notices: this.#notices[partition]?.splice(0) ?? [] };
  }

  /** Owners know which reports a notice concerns. */
  #createTally(aggregator: Aggregator): AlertTally {
    return {
      countsCells: true,
      add: (occurrence) => aggregator.add(occurrence),
      addThrottleNotice: (notice) => {
        this.#notify({ type: "throttle", notice });
        return 0;
      },
    };
  }

  #countRejected(scope: Scope | undefined): void {
    const key = scope ? (scope.namespace ?? "") : "*";
    const known = this.#rejected.get(key);
    if (known) known.count++;
    // Beyond the bound any report may lack it.
    else if (scope && this.#rejected.size >= MAX_NOTICES) this.#countRejected(undefined);
    else this.#rejected.set(key, { scope, count: 1 });
  }

  #takeRejected(): void {
    const atUs = toEpochUs(this.#parts.clock.nowMs());
    for (const { scope, count } of this.#rejected.values())
      this.#notify({ type: "rejected", scope: scope ?? null, count, atUs });
    this.#rejected.clear();
  }

  #notify(notice: Notice): void {
    for (const notices of this.#notices) {
      if (notices.length < MAX_NOTICES) notices.push(notice);
      else notices.splice(0, notices.length, this.#foldNotices(notices), notice);
    }
  }

  /** One gap in place of many notices: from the first until now alerts may be missing. */
  #foldNotices(notices: readonly Notice[]): GapNotice {
    const toUs = toEpochUs(this.#parts.clock.nowMs());
    const starts = notices.map((notice) =>
      notice.type === "gap" ? notice.fromUs : notice.type === "rejected" ? notice.atUs : notice.notice.timeUs,
    );
    const fromUs = starts.includes(null) ? null : Math.min(toUs, ...starts.map((start) => start ?? toUs));
    return { type: "gap", kind: "NodeDown", fromUs, toUs, nodes: 0, count: 0 };
  }
}
