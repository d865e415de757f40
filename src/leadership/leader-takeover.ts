// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Start of counting: from the stored reports, and from the alerts that were read while another replica led. Invariant:
// where it is uncertain that this replica has read all that the previous leader had not written, every report says so.

import type { Gap } from "../aggregate/gaps/stream-coverage.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Report } from "../api/v1alpha1.ts";
import type { AlertTally } from "../ingest/alert-tally.ts";
import type { StandbyBuffers } from "../lib/collections/buffer-use.ts";
import { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import { createSpend, type Steps } from "../lib/pacing/steps.ts";
import { toEpochUs } from "../lib/time.ts";
import type { ControllerObserver } from "../reconcile/controller-observer.ts";
import { type ReportObserver, SinkError } from "../sinks/report-sink.ts";
import { HandoverGap } from "./handover-gap.ts";
import { Overlap } from "./overlap.ts";
import { PersistedUntil, UNKNOWN_MS } from "./persisted-until.ts";
import { NOT_TRIED, ReportLoader, VIOLATIONS_PER_STEP } from "./report-loader.ts";
import { ReportRestore } from "./report-restore.ts";
import { Standby, type StandbyCounters } from "./standby/standby.ts";
import { UNDATED_MARGIN_US, type UnreportedAlerts } from "./standby/unreported-alerts.ts";
import { toGapUs, toSentMs } from "./stored-times.ts";
import type { PreviousLeader, StandbyOptions, TakeoverOptions, TakeoverParts } from "./takeover-parts.ts";
import { NEXT, type TakeoverEvent, type TakeoverState } from "./takeover-states.ts";

/** Parts that are there where there may be other replicas. */
interface Shared {
  standby: Standby;
  overlap: Overlap;
}

/** For alerts that reach one replica later than the other. */
const CAUGHT_UP_MS = 5000;

export class LeaderTakeover implements ControllerObserver {
  /** Reason for which the stored reports can't be listed; undefined once they are. */
  listing: string | undefined = NOT_TRIED;
  readonly persistedUntil: PersistedUntil;
  readonly #parts: TakeoverParts;
  readonly #shared: Shared | undefined;
  readonly #restore: ReportRestore;
  readonly #loader: ReportLoader;
  readonly #retry: RetryPolicy;
  #state: TakeoverState;
  readonly #handover: HandoverGap;
  #wasCaughtUp = false;
  /** Monotonic. */
  #readSinceMs = Number.POSITIVE_INFINITY;

  constructor({ standby, writerId }: TakeoverOptions, parts: TakeoverParts) {
    this.#parts = parts;
    this.persistedUntil = new PersistedUntil(parts.clock);
    this.#retry = new RetryPolicy(parts.clock);
    this.#restore = new ReportRestore(parts);
    this.#handover = new HandoverGap(parts);
    this.#shared = standby && this.#share(standby);
    this.#state = standby ? "standby" : "loading";
    this.#loader = new ReportLoader({
      ...parts,
      writerId,
      restore: this.#restore,
      isShared: standby !== undefined,
      listHeldKeys: () => this.#held?.listHeldKeys() ?? [],
      isHeld: (key) => this.#held?.holds(key) ?? false,
      onReport: (report) => this.#compareWith(report),
    });
  }

  /** Alerts to be added to reports; undefined where no other replica has counted the alerts read here. */
  get #held(): UnreportedAlerts | undefined {
    return this.#state === "standby" ? this.#shared?.standby.unreported : undefined;
  }

  get tally(): AlertTally {
    if (this.#shared && this.#state === "standby") return this.#shared.standby;
    if (this.#shared && this.#state === "overlap") return this.#shared.overlap;
    return this.#parts.aggregator;
  }

  /** True where another replica writes the reports. */
  get isStandingBy(): boolean {
    return this.#state === "standby";
  }

  /** Observer of the reports that another replica writes; undefined where there is no other. */
  get observer(): ReportObserver | undefined {
    return this.#shared?.standby;
  }

  /** Outcomes of the alerts that were counted while another replica led; undefined where there is no other. */
  get counters(): StandbyCounters | undefined {
    if (!this.#shared) return undefined;
    const { standby, overlap } = this.#shared;
    const { held, shownTotal, forgottenTotal } = standby.unreported;
    const forgotten = forgottenTotal + overlap.refusedTotal;
    return { held, shown: shownTotal + overlap.leftTotal, forgotten };
  }

  get buffers(): Partial<StandbyBuffers> {
    return this.#shared?.standby.buffers ?? {};
  }

  get clockBehindUs(): number {
    return this.#shared?.standby.clockBehindUs ?? 0;
  }

  /** Keeps a notice for a takeover that the leader adds to its reports now, besides alerts. */
  keep(addAgain: () => void): void {
    this.#shared?.standby.keep(addAgain);
  }

  /**
   * True where all that a leader has not written was read here as well. `persistedUntilMs` is by this process's clock as it
   * is set now.
   */
  isCaughtUpWith(persistedUntilMs: number | undefined): boolean {
    if (this.#parts.coverage.continuousSinceMs === undefined || persistedUntilMs === undefined) return false;
    return this.#readSinceMs + CAUGHT_UP_MS <= this.#toMonotonic(persistedUntilMs);
  }

  /** From now on all alerts are read. */
  onReadingBegins(): void {
    this.#readSinceMs = this.#parts.clock.monotonicMs();
  }

  #toMonotonic(ms: number): number {
    const { clock } = this.#parts;
    return clock.monotonicMs() - (clock.nowMs() - ms);
  }

  /** Since when this replica reads, at most now, in milliseconds since the epoch. */
  get #readSinceEpochMs(): number {
    const { clock } = this.#parts;
    return clock.nowMs() - Math.max(0, clock.monotonicMs() - this.#readSinceMs);
  }

  /** Handles the leader's new persistedUntilMs. */
  onLeaderProgress(persistedUntilMs: number | undefined): void {
    const isCaughtUp = this.isCaughtUpWith(persistedUntilMs);
    if (persistedUntilMs !== undefined) this.#shared?.standby.forgetNotices(this.#toMonotonic(persistedUntilMs));
    if (isCaughtUp && !this.#wasCaughtUp) this.#shared?.standby.settle();
    this.#wasCaughtUp = isCaughtUp;
  }

  /**
   * Everything counted before this time is in the stored reports; undefined before `load`. Published to a successor.
   */
  get persistedUntilMs(): number | undefined {
    if (this.listing !== undefined) return undefined;
    const { ledgers, gaps } = this.#parts.aggregator;
    return this.persistedUntil.findEpochMs(ledgers, gaps.late);
  }

  /**
   * Handles a late write of another replica that has become the base of `ledger`, with `more` occurrences than the one
   * before.
   */
  *onForeignBase(ledger: Ledger, report: Report, more: number): Steps {
    this.#update("late_write");
    this.#restore.compareLate(ledger);
    if (this.#shared && this.#state === "overlap") yield* this.#shared.overlap.subtract(ledger, report, more);
  }

  /** Lists the stored reports and continues their counts; tried until it works or the signal aborts. */
  async load(signal: AbortSignal, previous?: PreviousLeader): Promise<void> {
    const { clock, journaling, logger } = this.#parts;
    if (previous?.isSeparate) await this.#countAtOnce();
    if (this.isStandingBy) journaling?.recordHeld(previous?.ownPersistedUntilMs ?? previous?.persistedUntilMs);
    while (!signal.aborted) {
      try {
        // A fence saves nothing where the restart is declared in every report.
        await this.#loader.run(this.isCaughtUpWith(previous?.persistedUntilMs), signal);
        if (signal.aborted) return;
        await this.#continue(previous);
        this.listing = undefined;
        return;
      } catch (error) {
        if (!(error instanceof SinkError)) throw error;
        if (signal.aborted) return;
        if (this.listing !== error.message) logger.error({ answer: error.message }, "failed to list reports, retrying");
        this.listing = error.message;
        await clock.sleep(this.#retry.nextMs(error.retryAfterMs), signal);
      }
    }
  }

  #update(event: TakeoverEvent): void {
    this.#state = NEXT[this.#state][event];
  }

  /** Counts without a comparison from now on: what this process has read no other has counted. */
  async #countAtOnce(): Promise<void> {
    const shared = this.#shared;
    if (!shared || this.#state !== "standby") return;
    this.#update("separate");
    await this.#addHeld(shared, UNKNOWN_MS);
  }

  #compareWith(report: Report): void {
    if (!this.#shared || this.#state !== "standby") return;
    this.#shared.standby.onTakenOver(report);
    this.#shared.overlap.onTakenOver(report);
  }

  async #continue(previous: PreviousLeader | undefined): Promise<void> {
    const { clock, coverage, journaling, logger } = this.#parts;
    const { times } = this.#restore;
    const journaled = journaling?.previous;
    const spend = createSpend(clock, VIOLATIONS_PER_STEP);
    await this.#restore.adoptUnclaimed(spend, VIOLATIONS_PER_STEP);
    const nowMs = clock.nowMs();
    const fromMs = previous?.ownPersistedUntilMs ?? previous?.persistedUntilMs;
    const isCaughtUp = this.isCaughtUpWith(previous?.persistedUntilMs);
    const mayHaveLost = journaled?.mayHaveLost || previous?.isReleased === false;
    const isRestart = !isCaughtUp && (times.count > 0 || mayHaveLost);
    const knownMs = toSentMs(fromMs) || journaled?.readUntilMs;
    const lastMs = knownMs || times.lastSeenMs || this.#readSinceEpochMs;
    const { statedGaps = [] } = previous ?? {};
    // From here on the stream can't break until all is declared: there is no other turn.
    this.#restore.declareGaps(isRestart ? lastMs : nowMs, statedGaps);
    const how = { isOfAll: mayHaveLost, isByReport: !knownMs };
    const restart = isRestart ? this.#declareRestart(lastMs, how) : undefined;
    const arrivedMs = fromMs ?? this.#readSinceEpochMs;
    // An alert without a time may be left to the previous leader for this much longer.
    const marginMs = this.#held?.hasUndated ? UNDATED_MARGIN_US / 1000 : 0;
    this.#handover.begin(toSentMs(Math.max(arrivedMs, restart?.toMs ?? arrivedMs)), nowMs + marginMs);
    if (isCaughtUp) coverage.continueFrom(times.newestStartMs);
    this.#restore.continueGaps(statedGaps);
    if (!restart)
      for (const [namespace, policyName] of this.#restore.leftToOther)
        this.#handover.declare({ namespace, policyName });
    journaling?.markGapRecorded();
    const persistedMs =
      previous?.persistedUntilMs === undefined ? UNKNOWN_MS : this.#toMonotonic(previous.persistedUntilMs);
    const takenOver = await this.#takeOver(persistedMs);
    this.persistedUntil.begin(times.count > 0 ? persistedMs : Math.min(this.#readSinceMs, clock.monotonicMs()));
    const taken = takenOver === undefined ? {} : { takenOver, ...this.counters };
    logger.info({ reports: times.count, gap: restart !== undefined, ...taken }, "stored reports loaded");
  }

  /** Adds what a standby held; from here on alerts are compared with what the reports show now. */
  async #takeOver(sinceMs: number): Promise<number | undefined> {
    const shared = this.#state === "standby" ? this.#shared : undefined;
    this.#update("loaded");
    if (!shared) return undefined;
    await this.#addHeld(shared, sinceMs);
    shared.overlap.start();
    return shared.standby.unreported.takenOverTotal;
  }

  async #addHeld({ standby, overlap }: Shared, sinceMs: number): Promise<void> {
    await overlap.addHeld(standby.handOver(overlap.shown, sinceMs));
    if (standby.unreported.forgotten.overflows > 0) this.#handover.declare(undefined);
  }

  /**
   * Declares that no operator ran: in every report that is continued, and where counts may be lost in all others. With
   * `isByReport` each report's gap begins with its own newest time: nothing says that it was written later.
   */
  #declareRestart(lastMs: number, { isOfAll, isByReport }: { isOfAll: boolean; isByReport: boolean }): Gap {
    const { aggregator, coverage, onGap } = this.#parts;
    const restart = coverage.addNotRunning(lastMs);
    onGap(restart);
    const gap = toGapUs(restart);
    if (isOfAll) aggregator.gaps.addGapTo(undefined, gap);
    aggregator.gaps.addGap(gap.kind, gap.fromUs, gap.toUs, (ledger) => {
      // Others have begun while the stored reports were being loaded.
      if (!isOfAll && !this.#restore.has(ledger)) return undefined;
      const ownMs = isByReport ? this.#restore.lastSeenMs(ledger) : undefined;
      return ownMs ? Math.min(gap.fromUs, toEpochUs(ownMs)) : gap.fromUs;
    });
    return restart;
  }

  #share(options: StandbyOptions): Shared {
    const { aggregator, clock, otherNowMs } = this.#parts;
    return {
      standby: new Standby(options, { clock, addThrottleNotice: (notice) => aggregator.addThrottleNotice(notice) }),
      overlap: new Overlap(options, {
        aggregator,
        clock,
        otherNowMs,
        onMissing: (namespace, policyName) => this.#handover.declare({ namespace, policyName }),
        onElapsed: () => this.#update("elapsed"),
      }),
    };
  }
}
