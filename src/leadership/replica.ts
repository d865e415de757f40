// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Effects of leadership on the parts of a replica: permission to write, reports that a standby follows, facts for the
// other replicas. Invariant: nothing is written but while this process leads, by its clock at that very moment.

import { parseStated, renderStated, type StatedGaps } from "../aggregate/gaps/stated-gaps.ts";
import { formatStreamGaps, parseStreamGaps } from "../aggregate/gaps/stream-gap-text.ts";
import type { Config } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import { guardSink } from "../sinks/guarded-sink.ts";
import type { ReportSink, ReportWatch } from "../sinks/report-sink.ts";
import type { LeaderElector } from "./election/leader-elector.ts";
import type { LeaderTakeover } from "./leader-takeover.ts";
import { NOT_TRIED } from "./report-loader.ts";
import type { PreviousLeader } from "./takeover-parts.ts";

/** The leadership of this replica, for readiness and metrics. */
export interface Leadership {
  isLeader: boolean;
  ok: boolean;
  detail: string;
}

/** The takeover of counts as leader election sees it. */
type ReplicatedTakeover = Pick<
  LeaderTakeover,
  "observer" | "listing" | "persistedUntilMs" | "isCaughtUpWith" | "onLeaderProgress"
>;

export interface ReplicaParts {
  config: Pick<Config, "leaderElection">;
  clock: Clock;
  elector: LeaderElector;
  watch: ReportWatch;
  takeover: ReplicatedTakeover;
  /** `isFailing` is false while writes are accepted, but for refusals of a single report. */
  controller: { readonly isFailing: boolean };
  coverage: { readonly continuousSinceMs: number | undefined; readonly missingSinceMs: number | undefined };
  /** Gaps of the stream that reports may lack. */
  stated: Pick<StatedGaps, "list">;
}

/**
 * Lease durations for which a standby that is not caught up is not ready: a rollout or an eviction then waits until it
 * could take over without a gap. After that the relay is down, or the leader can't write, and waiting longer has no
 * use.
 */
const PATIENCE_LEASES = 2;

const NOT_OPEN = "the alert stream is not open";
const NOT_YET_WRITTEN = "the leader has not yet written the alerts from before this replica read";
const NOT_THE_LEADER = { kind: "retry", message: "not the leader" } as const;

/** Passes writes only while this process leads, by its clock: after a stall it may have lost the Lease without notice. */
export function guardLeader(sink: ReportSink, elector: Pick<LeaderElector, "isLeader">): ReportSink {
  return guardSink(sink, () => elector.isLeader, NOT_THE_LEADER);
}

export class Replica {
  readonly #parts: ReplicaParts;
  /** Monotonic time when this replica was last caught up, or else of its start, in milliseconds. */
  #caughtUpMs: number;
  #ledBeforeReading = false;

  constructor(parts: ReplicaParts) {
    this.#parts = parts;
    this.#caughtUpMs = parts.clock.monotonicMs();
  }

  /** Resolves once the first try to lead has ended. */
  get looked(): Promise<void> {
    return this.#parts.elector.looked;
  }

  /** From now on alerts are read. */
  onReadingStarts(): void {
    this.#ledBeforeReading = this.#parts.elector.isLeader;
  }

  /** The leader before this replica; undefined where there was none. */
  get previousLeader(): PreviousLeader | undefined {
    const { predecessor } = this.#parts.elector.leaderStatus;
    if (!predecessor) return undefined;
    const { holder, isSelf, persistedUntilMs: ownMs = 0, persistedHereMs, streamGaps } = predecessor;
    const persistedUntilMs = this.#toEpoch(persistedHereMs);
    // By a clock that is wrong it is later than now, or earlier than is known here; 0 is not known.
    const isBelieved = ownMs > 0 && ownMs <= this.#parts.clock.nowMs() && ownMs >= (persistedUntilMs ?? ownMs);
    // One that released the Lease had stopped reading before.
    const isReleased = holder === "";
    return {
      isSeparate: isSelf || (isReleased && this.#ledBeforeReading),
      isReleased,
      persistedUntilMs,
      ownPersistedUntilMs: isBelieved ? ownMs : undefined,
      statedGaps: parseStated(parseStreamGaps(streamGaps)),
    };
  }

  /** The leader's persistedUntilMs by this process's clock as it is set now. */
  get #persistedUntilMs(): number | undefined {
    return this.#toEpoch(this.#parts.elector.leaderStatus.persistedHereMs);
  }

  #toEpoch(monotonicMs: number | undefined): number | undefined {
    const { clock } = this.#parts;
    return monotonicMs === undefined ? undefined : clock.nowMs() - (clock.monotonicMs() - monotonicMs);
  }

  /** Follows the leader until this replica leads; returns as LeaderElector.acquire does. */
  async runStandby(stop: AbortSignal): Promise<AbortSignal | undefined> {
    const { elector, takeover } = this.#parts;
    const led = new AbortController();
    const until = AbortSignal.any([stop, led.signal]);
    const following = this.#follow(until);
    const keepingUp = this.#keepUp(until);
    const leading = await elector.acquire(stop, {
      isWarm: () => this.isCaughtUp,
      // Where it is not known here, what a leader before this one published still holds: counts before that are persisted.
      persistedUntilMs: () => takeover.persistedUntilMs || undefined,
      missingSinceMs: () => this.#missingSinceMs,
      streamGaps: () => this.#streamGaps,
    });
    led.abort();
    await Promise.all([following, keepingUp]);
    return leading;
  }

  /** Time since which alerts may be in no report: none arrive, or the reports can't be listed or written. */
  get #missingSinceMs(): number | undefined {
    const { clock, controller, coverage, takeover } = this.#parts;
    const { missingSinceMs } = coverage;
    const isUnlisted = takeover.listing !== undefined && takeover.listing !== NOT_TRIED;
    if (!isUnlisted && !controller.isFailing) return missingSinceMs;
    const unwrittenMs = takeover.persistedUntilMs ?? this.#persistedUntilMs ?? clock.nowMs();
    return Math.min(unwrittenMs, missingSinceMs ?? unwrittenMs);
  }

  /** Undefined until those of the previous leader are continued. */
  get #streamGaps(): string | undefined {
    const { stated, takeover } = this.#parts;
    return takeover.listing === undefined ? formatStreamGaps(renderStated(stated.list)) : undefined;
  }

  /** State for the probes. */
  leadership(): Leadership {
    const { elector, watch } = this.#parts;
    if (elector.isLeader) return { isLeader: true, ok: true, detail: "leader" };
    if (elector.problem !== undefined) return { isLeader: false, ok: false, detail: elector.problem };
    const leader = `standby; leader is ${elector.holder ?? "not known"}`;
    const { problem } = watch;
    const behind = problem ?? this.#behind;
    if (behind === undefined) return { isLeader: false, ok: true, detail: leader };
    const ok = problem === undefined && !this.#isPatient;
    return { isLeader: false, ok, detail: `${leader}; not caught up with it: ${behind}` };
  }

  /** True where this replica could take over from the leader without a gap. */
  get isCaughtUp(): boolean {
    return this.#parts.takeover.isCaughtUpWith(this.#persistedUntilMs);
  }

  /** Reason for which a takeover would leave a gap now; undefined when it would not. */
  get #behind(): string | undefined {
    if (this.isCaughtUp) return undefined;
    return this.#parts.coverage.continuousSinceMs === undefined ? NOT_OPEN : NOT_YET_WRITTEN;
  }

  /** True while this replica may still catch up. */
  get #isPatient(): boolean {
    const { clock, config } = this.#parts;
    return clock.monotonicMs() - this.#caughtUpMs < PATIENCE_LEASES * config.leaderElection.leaseDurationMs;
  }

  /** Follows the reports that another replica writes; a replica that leads at once does not list them for that. */
  async #follow(until: AbortSignal): Promise<void> {
    const { elector, takeover, watch } = this.#parts;
    await elector.looked;
    if (takeover.observer && !elector.isLeader) await watch.run(takeover.observer, until);
  }

  async #keepUp(until: AbortSignal): Promise<void> {
    const { clock, config, takeover } = this.#parts;
    while (!until.aborted) {
      if (this.isCaughtUp) this.#caughtUpMs = clock.monotonicMs();
      takeover.onLeaderProgress(this.#persistedUntilMs);
      await clock.sleep(config.leaderElection.retryPeriodMs, until);
    }
  }
}

/** The leadership of this process; `replica` is undefined where there is no other. */
export function getLeadership(replica: Replica | undefined): Leadership {
  return replica?.leadership() ?? { isLeader: true, ok: true, detail: "the only replica" };
}
