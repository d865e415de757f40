// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Replicas of one kind; each renews its own Lease as a sign of life.
// Invariant: a replica counts as gone only after its Lease did not change for the whole lease duration while the API
// server answered.

import { ApiError } from "../../kube/api-error.ts";
import type { ApiRequester } from "../../kube/client.ts";
import { listItems } from "../../kube/list.ts";
import {
  type LeaseRecord,
  LeaseStore,
  parseLease,
  type StoredLease,
  toLeasePath,
} from "../../leadership/election/lease.ts";
import type { Clock } from "../../lib/clock.ts";
import { stableHash } from "../../lib/hash.ts";
import { toText } from "../../lib/json.ts";
import { formatEpochMs } from "../../lib/time.ts";

export interface MembersOptions {
  namespace: string;
  /** Beginning of the names of the Leases. */
  prefix: string;
  identity: string;
  leaseDurationMs: number;
  requestTimeoutMs: number;
}

/** A Lease that did not change for this many lease durations is deleted. */
const REMOVE_AFTER_LEASES = 10;

export interface ListedLease extends Pick<LeaseRecord, "holder" | "renewTime" | "missingSince"> {
  name: string;
}

interface Seen {
  holder: string;
  renewTime: string;
  sinceMs: number;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #client: ApiRequester;
  readonly #clock: Clock;
  readonly #store: LeaseStore;
  readonly #name: string;
  readonly #onLeases: (leases: readonly ListedLease[]) => void;
  #own: StoredLease | undefined;
  #seen = new Map<string, Seen>();

  constructor(
    options: MembersOptions,
    client: ApiRequester,
    clock: Clock,
    onLeases: (leases: readonly ListedLease[]) => void = () => {},
  ) {
    const { namespace, prefix, identity } = options;
    this.#options = options;
    this.#client = client;
    this.#clock = clock;
    this.#onLeases = onLeases;
    this.#name = `${prefix}-${stableHash(identity, 16)}`;
    this.#store = new LeaseStore(client, namespace, this.#name);
  }

  /** Renews the own Lease, or removes it, and returns the replicas that are alive. Throws ApiError. */
  async renew(isMember: boolean, signal: AbortSignal): Promise<string[]> {
    try {
      if (isMember) await this.#renewOwn(signal);
      else if (this.#own) await this.leave(signal);
      await this.#look(signal);
    } catch (error) {
      // While the API server is away no Lease can change.
      this.#seen = new Map();
      throw error;
    }
    const { identity, leaseDurationMs } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    const others = [...this.#seen]
      .filter(([name, { sinceMs }]) => this.#isMember(name) && nowMs - sinceMs < leaseDurationMs)
      .map(([, { holder }]) => holder);
    const names = new Set(others);
    if (isMember) names.add(identity);
    else names.delete(identity);
    return [...names];
  }

  /** Time for which a Lease of the namespace was listed with this renewTime, without a failure meanwhile. */
  getUnchangedMs(name: string, renewTime: string): number {
    const known = this.#seen.get(name);
    return known?.renewTime === renewTime ? this.#clock.monotonicMs() - known.sinceMs : 0;
  }

  /** Removes the own Lease; never rejects: it expires by itself. */
  async leave(signal: AbortSignal): Promise<void> {
    this.#own = undefined;
    await this.#remove(this.#name, signal);
  }

  async #renewOwn(signal: AbortSignal): Promise<void> {
    const { identity, leaseDurationMs, requestTimeoutMs: timeoutMs } = this.#options;
    const now = formatEpochMs(this.#clock.nowMs(), Math.floor(this.#clock.random() * 1000));
    const record = {
      holder: identity,
      durationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: now,
      renewTime: now,
      transitions: 0,
      unwrittenSince: "",
      missingSince: "",
      streamGaps: "",
      standby: "",
    };
    const call = { timeoutMs, signal };
    try {
      const base = this.#own ?? (await this.#store.read(call));
      this.#own = undefined;
      this.#own = await (base ? this.#store.update(base, record, call) : this.#store.create(record, call));
    } catch (error) {
      // Deleted by another replica, or changed by a person: the next turn reads it again.
      const isStale = error instanceof ApiError && ["Conflict", "NotFound", "AlreadyExists"].includes(error.code);
      if (!isStale) throw error;
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { leaseDurationMs, namespace } = this.#options;
    const nowMs = this.#clock.monotonicMs();
    const seen = new Map<string, Seen>();
    const leases: ListedLease[] = [];
    for await (const item of listItems(this.#client, { path: toLeasePath({ namespace }), pageSize: 500, signal })) {
      const { metadata, record } = parseLease(item);
      const name = toText(metadata["name"]);
      const { holder, renewTime } = record;
      leases.push({ name, ...record });
      if (holder === "") continue;
      const known = this.#seen.get(name);
      const sinceMs = known?.renewTime === renewTime ? known.sinceMs : nowMs;
      const isOld = nowMs - sinceMs > REMOVE_AFTER_LEASES * leaseDurationMs;
      if (isOld && this.#isMember(name)) await this.#remove(name, signal);
      else seen.set(name, { holder, renewTime, sinceMs });
    }
    this.#seen = seen;
    this.#onLeases(leases);
  }

  #isMember(name: string): boolean {
    return name.startsWith(`${this.#options.prefix}-`);
  }

  async #remove(name: string, signal: AbortSignal): Promise<void> {
    const { namespace, requestTimeoutMs: timeoutMs } = this.#options;
    try {
      await this.#client.request({ method: "DELETE", path: toLeasePath({ namespace, name }), timeoutMs, signal });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
}
