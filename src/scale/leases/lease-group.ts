// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Distribution of numbered parts (shards of nodes, partitions of reports) over the replicas, each part with a Lease.
// Invariant: a part is worked on only while its Lease is held; at most one replica holds it.

import { ApiError } from "../../kube/api-error.ts";
import type { ApiRequester } from "../../kube/client.ts";
import { LeaderElector } from "../../leadership/election/leader-elector.ts";
import type { Predecessor } from "../../leadership/election/lease-claim.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { type ListedLease, Members, type MembersOptions } from "./members.ts";
import { assignIndexes } from "./rendezvous.ts";

export interface LeaseGroupOptions extends Omit<MembersOptions, "prefix" | "requestTimeoutMs"> {
  /** Name of the operator's Lease, the beginning of all names. */
  leaseName: string;
  /** In the names of the Leases: `reader` and `shard`, or `owner` and `partition`. */
  member: string;
  part: string;
  count: number;
  renewDeadlineMs: number;
  retryPeriodMs: number;
}

/** A part that this replica holds. */
export interface HeldPart {
  index: number;
  /** The holder before; undefined where there was none. */
  predecessor: Predecessor | undefined;
  /** Aborts when the Lease is lost. */
  lost: AbortSignal;
  /** Aborts when the part is to be released: it is assigned to another replica, or the process ends. */
  stop: AbortSignal;
  /** True while the Lease is held, by the clock at this moment. */
  isHeld: () => boolean;
  /** Waits after a loss until the Lease is held again; undefined as soon as another replica held it, or on stop. */
  regain: () => Promise<AbortSignal | undefined>;
}

export interface LeaseGroupParts {
  client: ApiRequester;
  clock: Clock;
  logger: Logger;
  /** Works on a part until it is lost or stopped; must not reject. The Lease is released afterwards. */
  hold: (part: HeldPart) => Promise<void>;
  /** Time before which everything of a part is stored; written to its Lease. */
  storedUntilMs?: (index: number) => number | undefined;
  /** Time since which alerts of a part may be missing; written to its Lease. */
  missingSinceMs?: (index: number) => number | undefined;
  /** Returns why this replica can work on no part: then it leaves all of them to others. */
  findObstacle?: () => string | undefined;
  /** Receives all Leases of the namespace, each time that they were listed. */
  onLeases?: (leases: readonly ListedLease[]) => void;
}

interface Running {
  stop: AbortController;
  done: Promise<void>;
}

export class LeaseGroup {
  readonly #options: LeaseGroupOptions;
  readonly #parts: LeaseGroupParts;
  readonly #members: Members;
  readonly #running = new Map<number, Running>();
  readonly #held = new Set<number>();
  /** Reason for which the replicas are not known; undefined while they are. */
  problem: string | undefined = "not yet tried";
  /** Replicas of this kind that are alive. */
  replicas = 0;

  constructor(options: LeaseGroupOptions, parts: LeaseGroupParts) {
    const { leaseName, member, renewDeadlineMs } = options;
    this.#options = options;
    this.#parts = parts;
    this.#members = new Members(
      { ...options, prefix: `${leaseName}-${member}`, requestTimeoutMs: renewDeadlineMs / 2 },
      parts.client,
      parts.clock,
      parts.onLeases,
    );
  }

  /** Parts that this replica holds. */
  get held(): ReadonlySet<number> {
    return this.#held;
  }

  /** Holds the parts that are assigned to this replica until the signal aborts; then releases all. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    const { retryPeriodMs, renewDeadlineMs } = this.#options;
    while (!signal.aborted) {
      await this.#assign(signal);
      await clock.sleep(retryPeriodMs, signal);
    }
    await Promise.all([...this.#running.keys()].map((index) => this.#stop(index)));
    const limit = new AbortController();
    const cancel = clock.after(renewDeadlineMs / 2, () => limit.abort());
    await this.#members.leave(limit.signal);
    cancel();
  }

  async #assign(signal: AbortSignal): Promise<void> {
    const { count, identity, part } = this.#options;
    const { logger, findObstacle } = this.#parts;
    const obstacle = findObstacle?.();
    if (obstacle !== undefined && obstacle !== this.problem)
      logger.error({ answer: obstacle }, "leaving all parts to other replicas");
    let members: string[];
    try {
      members = await this.#members.renew(obstacle === undefined, signal);
      this.problem = obstacle;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (signal.aborted) return;
      if (this.problem !== error.message)
        logger.warn({ answer: error.message }, "replicas not known, keeping the assignment");
      this.problem = error.message;
      return;
    }
    if (members.length !== this.replicas) logger.info({ replicas: members.length, part }, "replicas changed");
    this.replicas = members.length;
    const assigned = assignIndexes(count, members);
    for (let index = 0; index < count; index++) {
      const isOwn = assigned.get(index) === identity;
      if (isOwn && !this.#running.has(index)) this.#start(index);
      if (!isOwn && this.#running.has(index)) void this.#stop(index);
    }
  }

  async #stop(index: number): Promise<void> {
    const running = this.#running.get(index);
    running?.stop.abort();
    await running?.done;
  }

  #start(index: number): void {
    const stop = new AbortController();
    const done = this.#hold(index, stop.signal).finally(() => this.#running.delete(index));
    this.#running.set(index, { stop, done });
  }

  async #hold(index: number, stop: AbortSignal): Promise<void> {
    const { client, clock, logger, hold, storedUntilMs, missingSinceMs } = this.#parts;
    const { leaseName, part, ...options } = this.#options;
    const name = toPartLeaseName(leaseName, part, index);
    const getUnchangedMs = (renewTime: string) => this.#members.getUnchangedMs(name, renewTime);
    const elector = new LeaderElector({ ...options, name, getUnchangedMs }, client, clock, logger);
    const facts = { persistedUntilMs: () => storedUntilMs?.(index), missingSinceMs: () => missingSinceMs?.(index) };
    const lost = await elector.acquire(stop, facts);
    if (lost) {
      this.#held.add(index);
      await hold({
        index,
        predecessor: elector.leaderStatus.predecessor,
        lost,
        stop,
        isHeld: () => elector.isLeader,
        regain: () => elector.regain(stop),
      });
      this.#held.delete(index);
    }
    await elector.release();
  }
}

export function toPartLeaseName(leaseName: string, part: string, index: number): string {
  return `${leaseName}-${part}-${index}`;
}
