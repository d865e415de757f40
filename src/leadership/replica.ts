// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Effects of leadership on the parts of a replica: permission to write, reports that a standby follows, facts for the
// other replicas. Invariant: nothing is written but while this process leads, by its clock at that very moment.

import type { Config } from "../config/config.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { ReportObserver, ReportSink, ReportWatch } from "../sinks/report-sink.ts";
import { createReportWatch } from "../sinks/report-watch.ts";
import { LeaderElector } from "./leader-elector.ts";

/** The leadership of this replica, for readiness and metrics. */
export interface Leadership {
  isLeader: boolean;
  ok: boolean;
  detail: string;
}

/** PORT: the pipeline as leader election sees it. */
export interface ReplicatedPipeline {
  /** Receives the leader's writes while this replica is standby; undefined without leader election. */
  readonly observer: ReportObserver | undefined;
  readonly coverage: { readonly continuousSinceMs: number | undefined };
  /** Everything counted before this time is in the stored reports. Milliseconds since the epoch. */
  readonly persistedUntilMs: number | undefined;
  isCaughtUpWith(persistedUntilMs: number | undefined): boolean;
  onLeaderTold(persistedUntilMs: number | undefined): void;
}

export interface ReplicaParts {
  config: Config;
  client: KubeClient;
  clock: Clock;
  logger: Logger;
  /** Asked only once the pipeline is there. */
  pipeline: () => ReplicatedPipeline;
}

/**
 * Lease durations for which a standby that is not caught up is not ready: a rollout or an eviction then waits until it
 * could take over without a gap. After that the relay is down, or the leader can't write, and waiting longer has no
 * use.
 */
const PATIENCE_LEASES = 2;

const NOT_OPEN = "the alert stream is not open";
const NOT_YET_WRITTEN = "the leader has yet to write what came before this replica read";
const NOT_THE_LEADER = { kind: "retry", message: "not the leader" } as const;

/** One of several replicas. */
export class Replica {
  readonly elector: LeaderElector;
  readonly #parts: ReplicaParts;
  readonly #watch: ReportWatch;
  /** Time when this replica was last caught up, or else its start. Milliseconds since the epoch. */
  #caughtUpMs: number;

  constructor(parts: ReplicaParts) {
    const { config, client, clock, logger, pipeline } = parts;
    const { leaseNamespace, leaseName, leaseDurationMs, renewDeadlineMs, retryPeriodMs } =
      config.leaderElection;
    this.#parts = parts;
    this.#watch = createReportWatch({ client, clock, logger });
    this.#caughtUpMs = clock.nowMs();
    const options = {
      namespace: leaseNamespace,
      name: leaseName,
      identity: config.identity,
      leaseDurationMs,
      renewDeadlineMs,
      retryPeriodMs,
      isWarm: () => this.isCaughtUp,
      persistedUntilMs: () => pipeline().persistedUntilMs,
    };
    this.elector = new LeaderElector(options, client, clock, logger);
  }

  /** Follows the leader until this replica leads; returns as LeaderElector.acquire does. */
  async standBy(stop: AbortSignal): Promise<AbortSignal | undefined> {
    const led = new AbortController();
    const until = AbortSignal.any([stop, led.signal]);
    const { observer } = this.#parts.pipeline();
    const following = observer && this.#watch.run(observer, until);
    const keepingUp = this.#keepUp(until);
    const leading = await this.elector.acquire(stop);
    led.abort();
    await Promise.all([following, keepingUp]);
    return leading;
  }

  /**
   * Passes writes only while this process leads, by its clock: after a stall it may have lost the Lease without notice.
   */
  guard(sink: ReportSink): ReportSink {
    const { elector } = this;
    return {
      list: (signal) => sink.list(signal),
      read: (ref, signal) => sink.read(ref, signal),
      write: async (report, signal) => (elector.isLeader ? await sink.write(report, signal) : NOT_THE_LEADER),
      remove: async (ref, version, signal) =>
        elector.isLeader ? await sink.remove(ref, version, signal) : NOT_THE_LEADER,
    };
  }

  /** State for the probes. */
  leadership(): Leadership {
    const { elector } = this;
    if (elector.isLeader) return { isLeader: true, ok: true, detail: "leader" };
    if (elector.problem !== undefined) return { isLeader: false, ok: false, detail: elector.problem };
    const leader = `standby; leader is ${elector.holder ?? "not known"}`;
    const { problem } = this.#watch;
    const behind = problem ?? this.#behind;
    if (behind === undefined) return { isLeader: false, ok: true, detail: leader };
    const ok = problem === undefined && !this.#isPatient;
    return { isLeader: false, ok, detail: `${leader}; not caught up with it: ${behind}` };
  }

  /** True where this replica could take over from the leader without a gap. */
  get isCaughtUp(): boolean {
    return this.#parts.pipeline().isCaughtUpWith(this.elector.told.persistedUntilMs);
  }

  /** Reason for which a takeover would leave a gap now; undefined when it would not. */
  get #behind(): string | undefined {
    if (this.isCaughtUp) return undefined;
    return this.#parts.pipeline().coverage.continuousSinceMs === undefined ? NOT_OPEN : NOT_YET_WRITTEN;
  }

  /** True while this replica may still catch up. */
  get #isPatient(): boolean {
    const { clock, config } = this.#parts;
    return clock.nowMs() - this.#caughtUpMs < PATIENCE_LEASES * config.leaderElection.leaseDurationMs;
  }

  async #keepUp(until: AbortSignal): Promise<void> {
    const { clock, config, pipeline } = this.#parts;
    while (!until.aborted) {
      if (this.isCaughtUp) this.#caughtUpMs = clock.nowMs();
      pipeline().onLeaderTold(this.elector.told.persistedUntilMs);
      await clock.sleep(config.leaderElection.retryPeriodMs, until);
    }
  }
}

/** The state of a single replica. */
export const ONLY_REPLICA: Leadership = { isLeader: true, ok: true, detail: "the only replica" };
