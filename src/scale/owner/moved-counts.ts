// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Moves the counts of namespaces that are gone to the cluster report of the same policy, which another process may own.
//
//   namespace gone ──▶ counts drained, with their position ──▶ read the cluster report ──▶ write both ──▶ stored
//                                                                     ▲                       │
//                                                                     └── someone else wrote ◀┘
//
// Invariant: the write brings the counts and their position, and leaves the mark of the report's owner as it is. That one
// sees a report that it did not write, with its own mark, and continues on it.

import { moveNamespace } from "../../aggregate/absorb-counts.ts";
import { SetNumbers } from "../../aggregate/counts/set-numbers.ts";
import { Ledger } from "../../aggregate/ledger/ledger.ts";
import { MOVED_ANNOTATION } from "../../api/names.ts";
import type { ObjectMeta, Report } from "../../api/v1alpha1.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import type { Clock } from "../../lib/clock.ts";
import { RetryPolicy } from "../../lib/pacing/retry-policy.ts";
import type { ReconcilerParts } from "../../reconcile/reconciler-parts.ts";
import { ReportReconciler } from "../../reconcile/report-reconciler.ts";
import { rebaseOn } from "../../report/parse.ts";
import { overrideSink } from "../../sinks/guarded-sink.ts";
import type { ReportSink } from "../../sinks/report-sink.ts";
import { formatMoved, parseMoved } from "./moved-marks.ts";
import { RecentPositions } from "./recent-positions.ts";

export interface MovedCountsParts
  extends Pick<ReconcilerParts, "sink" | "clock" | "logger" | "render" | "onResult" | "onWritten"> {
  stream: string;
  /** Positions up to which reports, or counts that were moved, are stored; by reportKey. */
  marks: ReadonlyMap<string, number>;
  /** True for a report of this partition. */
  isOwn: (key: string) => boolean;
  /** Another process has moved counts of this partition. */
  onMovedByAnother: () => void;
  /** Ends all writes. */
  signal: AbortSignal;
}

/** Writer of moved counts in the marks of a report: all owners share it, and each write has another number. */
export const MOVED_ID = "moved";
/** Between two writes of counts to one report. */
const INTERVAL_MS = 5_000;
/** Violations that wait for one report; beyond it they wait in the ledgers of their namespaces. */
const MAX_WAITING = 5_000;
const MAX_NUMBER = 1e15;
const OVERTAKEN = { kind: "retry", message: "another process has moved the counts" } as const;

/** Numbers that no other process draws. */
class RandomNumbers extends SetNumbers {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override close(): number {
    return 1 + Math.floor(this.#clock.random() * (MAX_NUMBER - 1));
  }
}

/** The cluster report of one policy, as far as it gets counts from here. */
interface Target {
  ledger: Ledger;
  reconciler: ReportReconciler;
  retry: RetryPolicy;
  /** Positions by namespace of what waits, and of what is being written. */
  waiting: Map<string, number>;
  sent: Map<string, number>;
  running: Promise<void>;
}

export class MovedCounts {
  /** Everything up to this position is in stored reports: no owner asks for it again. */
  checkpointed: number;
  readonly #parts: MovedCountsParts;
  readonly #targets = new Map<string, Target>();
  /** Positions that were stored from here, by reportKey. */
  readonly #stored = new RecentPositions<number>();
  #isOver = false;

  constructor(checkpointed: number, parts: MovedCountsParts) {
    this.checkpointed = checkpointed;
    this.#parts = parts;
  }

  /** Policies whose cluster report does not have all that was moved. */
  get pending(): Iterable<string> {
    return this.#targets.keys();
  }

  /** Takes the pending counts of a ledger as of `position`; false where too much waits already. */
  take(from: Ledger, position: number): boolean {
    const { namespace, policyName } = from;
    if (namespace === undefined) return false;
    const target = this.#targets.get(policyName) ?? this.#begin(policyName);
    const { ledger, waiting } = target;
    if (ledger.entries.size > MAX_WAITING) return false;
    const { totals, entries } = from.transfer.drain();
    // Without a count there is nothing that could be short of some.
    if (totals.occurrences === 0) return true;
    ledger.policy.recover(from.policy.facts(), totals.lastUs);
    ledger.transfer.absorb(
      totals,
      entries.map((counted) => moveNamespace(counted, namespace)),
    );
    waiting.set(namespace, position);
    if (this.#targets.has(policyName)) return true;
    this.#targets.set(policyName, target);
    target.running = this.#write(policyName, target, this.#parts.signal);
    return true;
  }

  /** Writes everything now, until nothing is left or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    const targets = [...this.#targets];
    await Promise.all(
      targets.map(async ([policyName, target]) => {
        await target.running;
        if (this.#targets.get(policyName) === target) await this.#write(policyName, target, signal);
      }),
    );
  }

  #begin(policyName: string): Target {
    const { clock, sink } = this.#parts;
    const ledger = new Ledger(undefined, policyName, { numbers: new RandomNumbers(clock) });
    const waiting = new Map<string, number>();
    const sent = new Map<string, number>();
    const reconciler = new ReportReconciler(ledger, {
      ...this.#parts,
      sink: this.#mark(sink, sent),
      writerId: MOVED_ID,
      rebase: (to, report) => {
        // What was just committed is known to be stored from here.
        const committed = to.write.isInFlight ? new Map<string, number>() : sent;
        if (report && this.#isOvertaken(report, committed)) this.#end();
        else rebaseOn(to, report);
      },
      onTaking: () => {
        for (const [namespace, position] of waiting) sent.set(namespace, position);
        waiting.clear();
      },
      onRemoved: () => {},
    });
    const running = Promise.resolve();
    return { ledger, reconciler, retry: new RetryPolicy(clock), waiting, sent, running };
  }

  #end(): void {
    this.#isOver = true;
    this.#parts.onMovedByAnother();
  }

  async #write(policyName: string, target: Target, signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const { ledger, reconciler, retry, sent } = target;
    while (!signal.aborted && !this.#isOver) {
      const result = await reconciler.reconcile(true, signal);
      if (result.kind === "written") {
        retry.reset();
        for (const [namespace, position] of sent) this.#stored.set(reportKey(namespace, policyName), position);
        sent.clear();
      }
      if (!ledger.write.isNeeded && !ledger.write.isInFlight) break;
      const afterMs = result.kind === "requeue" ? retry.nextMs(result.afterMs) : INTERVAL_MS;
      await clock.sleep(afterMs, signal);
    }
    if (!ledger.write.isNeeded && !ledger.write.isInFlight) this.#targets.delete(policyName);
  }

  /** True where the report has counts of any of this partition's namespaces that were not moved from here. */
  #isOvertaken({ metadata, policy }: Report, committed: ReadonlyMap<string, number>): boolean {
    const { stream, marks, isOwn } = this.#parts;
    return [...parseMoved(metadata, stream)].some(([namespace, position]) => {
      const key = reportKey(namespace, policy.name);
      const known = Math.max(this.#stored.get(key) ?? marks.get(key) ?? 0, committed.get(namespace) ?? 0);
      return isOwn(key) && position > known;
    });
  }

  /** Writes the positions with the counts. */
  #mark(sink: ReportSink, sent: ReadonlyMap<string, number>): ReportSink {
    return overrideSink(sink, {
      write: async (report, signal) => {
        if (this.#isOver) return OVERTAKEN;
        const { metadata } = report;
        const annotations = {
          ...metadata.annotations,
          [MOVED_ANNOTATION]: this.#format(metadata, report.policy.name, sent),
        };
        return await sink.write({ ...report, metadata: { ...metadata, annotations } }, signal);
      },
    });
  }

  #format(metadata: ObjectMeta, policyName: string, sent: ReadonlyMap<string, number>): string {
    const { stream, isOwn } = this.#parts;
    const positions = parseMoved(metadata, stream);
    for (const [namespace, position] of positions)
      if (position <= this.checkpointed && isOwn(reportKey(namespace, policyName))) positions.delete(namespace);
    for (const [namespace, position] of sent) positions.set(namespace, position);
    return formatMoved(stream, positions);
  }
}
