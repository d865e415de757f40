// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One process's knowledge of a Lease and its right to write it: to create, take over, renew or free it.
// Invariant: decides nothing by a time in the Lease. A record is ours only when this process wrote it. Another record
// of the same identity is from an earlier process of this pod, which is dead: one process at a time has an identity.

import { ApiError, type ApiErrorCode } from "../../kube/api-error.ts";
import { Deadline } from "../../kube/deadline.ts";
import type { Clock } from "../../lib/clock.ts";
import { formatEpochMs, parseEpochMs } from "../../lib/time.ts";
import { LeaderProgress } from "./leader-progress.ts";
import { isSameRecord, type LeaseCall, type LeaseRecord, type LeaseStore, type StoredLease } from "./lease.ts";
import { MAX_TIMER_MS, WarmPriority } from "./warm-priority.ts";

export interface LeaseClaimOptions {
  /** The holder's name in the Lease; not empty. */
  identity: string;
  /** Time that other replicas wait for a sign of life; the Lease holds it in seconds, rounded up. */
  leaseDurationMs: number;
  /** Time for which a successful write allows to lead, from before it was sent; less than leaseDurationMs. */
  renewDeadlineMs: number;
  /** Time between two tries, up to 2.2 times it before leading; 1.2 times it is less than renewDeadlineMs. */
  retryPeriodMs: number;
  /** Time for which this process saw this renewTime before its first read of the Lease; default: 0. */
  getUnchangedMs?: (renewTime: string) => number;
  /** Called when the Lease can be taken, because its holder was silent for too long. */
  onFree: () => void;
  /** Called when the Lease names another holder than before. */
  onHolder: (holder: string) => void;
}

/** The previous leader, from the Lease's last state. */
export interface Predecessor {
  /** Empty where the Lease was freed. */
  holder: string;
  /** True for an earlier process of this replica. */
  isSelf: boolean;
  /** Its counts before this time, by its own clock, are persisted. Milliseconds; undefined when unknown. */
  persistedUntilMs: number | undefined;
  /** As LeaderProgress.persistedMs. */
  persistedHereMs: number | undefined;
  /** As LeaseRecord.streamGaps. */
  streamGaps: string;
}

const RELEASE_TRIES = 3;

const OVERTAKEN: readonly ApiErrorCode[] = ["Conflict", "AlreadyExists", "NotFound"];

/** Returns true where a write failed because the Lease changed since it was read; this needs no action. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof ApiError && OVERTAKEN.includes(error.code);
}

export interface Try {
  /** Allows taking a Lease that has no holder or a silent one; otherwise it is only kept. */
  mayTake: boolean;
  /** Asked before each request. */
  nextCall: () => LeaseCall;
  /** Called when a deadline that this try returned is over. */
  onDeadline: () => void;
}

/** Facts that a process writes into the Lease about itself. */
export interface ClaimFacts {
  /** True while it could take over without a gap; else it lets others go first for a while. Default: always. */
  isWarm?: () => boolean;
  /** Time before which everything counted is persisted; undefined keeps the Lease's value. */
  persistedUntilMs?: () => number | undefined;
  /** Time since which alerts may be missing; undefined while all of KubeArmor is read. */
  missingSinceMs?: () => number | undefined;
  /** Gaps of the stream that reports may lack, as formatStreamGaps writes them; undefined keeps the Lease's value. */
  streamGaps?: () => string | undefined;
}

export class LeaseClaim {
  facts: ClaimFacts = {};
  readonly #options: LeaseClaimOptions;
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #priority: WarmPriority;

  /** As last read or written, where it exists: what an update is based on. */
  #stored: StoredLease | undefined;
  /** Nothing has happened that could have changed `stored`: an update needs no read before it. */
  #isCurrent = false;
  /** Kept after the Lease is deleted: deletion does not end its holder's term. */
  #last: LeaseRecord | undefined;
  /** `last` is another replica's, and its duration passed without a change. */
  #isExpired = false;
  #cancelExpiry: () => void = () => {};
  #predecessor: Predecessor | undefined;
  #progress = new LeaderProgress();
  /** acquireTime of the record that this process wrote or may have written. */
  #acquireTime: string | undefined;

  constructor(options: LeaseClaimOptions, store: LeaseStore, clock: Clock) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
    this.#priority = new WarmPriority(options, clock);
  }

  /** Holder of the Lease when it was last seen; undefined when it was not seen, or had no holder. */
  get holder(): string | undefined {
    return this.#last?.holder || undefined;
  }

  /** As LeaderProgress.persistedMs, of the holder. */
  get persistedHereMs(): number | undefined {
    return this.#progress.persistedMs;
  }

  /** Previous holder of the Lease that this process took; undefined without one. */
  get predecessor(): Predecessor | undefined {
    return this.#predecessor;
  }

  /** True when the Lease was last seen with another holder or without one. */
  get isLost(): boolean {
    return this.#last !== undefined && !this.#isMine(this.#last);
  }

  /** Takes or keeps the Lease; undefined when another replica holds it. Throws ApiError. */
  async take(how: Try): Promise<Deadline | undefined> {
    if (this.#isCurrent && this.#last !== undefined && this.#isMine(this.#last)) {
      try {
        return await this.#write(how);
      } catch (error) {
        if (!isOvertaken(error)) throw error;
      }
    }
    try {
      this.#observe(await this.#store.read(how.nextCall()));
    } catch (error) {
      this.#priority.endWatch();
      throw error;
    }
    if (this.#last === undefined || this.#isMine(this.#last)) return await this.#write(how);
    this.#priority.watch();
    const { holder, standby } = this.#last;
    // The standby has read the alerts sent since that process died.
    const isSuccessor = holder === this.#options.identity && !this.#hasWarmStandby;
    const isWarm = this.facts.isWarm?.();
    if (holder !== "" && !this.#isExpired && !isSuccessor) {
      this.#priority.onHeld();
      // Not needed while every replica is warm.
      if (how.mayTake && standby === "" && isWarm) await this.#setStandby(this.#options.identity, how.nextCall());
      return undefined;
    }
    if (!how.mayTake) return undefined;
    if (isWarm === false && this.#hasWarmStandby && !this.#priority.isOver(holder === "")) return undefined;
    return await this.#write(how);
  }

  /** Frees the Lease where it names, or may name, this process; returns whether it had to. Throws ApiError. */
  async free(call: LeaseCall): Promise<boolean> {
    // A claim may have succeeded without an answer, and a Lease that was not renewed in time may still be ours.
    if (this.#acquireTime === undefined) return false;
    for (let tryNumber = 1; ; tryNumber++) {
      if (!this.#isCurrent) this.#observe(await this.#store.read(call));
      const base = this.#stored;
      if (base === undefined || !this.#isMine(base.record)) return false;
      const now = formatEpochMs(this.#clock.nowMs());
      this.#isCurrent = false;
      try {
        // As client-go: no holder, and the shortest duration that the API accepts.
        const times = { acquireTime: now, renewTime: now, unwrittenSince: this.#formatPersistedUntil(base.record) };
        const streamGaps = this.facts.streamGaps?.() ?? base.record.streamGaps;
        const record = { ...base.record, holder: "", durationSeconds: 1, ...times, streamGaps };
        this.#observe(await this.#store.update(base, record, call));
        return true;
      } catch (error) {
        // The version may have moved by a renewal that was cut short; then the Lease is still ours to free.
        if (!isOvertaken(error) || tryNumber === RELEASE_TRIES) throw error;
      }
    }
  }

  /** Removes this process's name from the Lease where it is named as the standby. Throws ApiError. */
  async withdraw(call: LeaseCall): Promise<void> {
    const isNamed = () => this.#stored?.record.standby === this.#options.identity;
    if (!isNamed()) return;
    this.#observe(await this.#store.read(call));
    if (isNamed()) await this.#setStandby("", call);
  }

  /** True while the Lease names another replica that could take over without a gap. */
  get #hasWarmStandby(): boolean {
    const { standby = "" } = this.#last ?? {};
    return standby !== "" && standby !== this.#options.identity;
  }

  /** Writes the standby's name. The holder's next renewal has to read the Lease again. */
  async #setStandby(standby: string, call: LeaseCall): Promise<void> {
    const base = this.#stored;
    if (base === undefined) return;
    this.#isCurrent = false;
    try {
      this.#observe(await this.#store.update(base, { ...base.record, standby }, call));
    } catch (error) {
      if (!isOvertaken(error)) throw error;
    }
  }

  /** Stops the timer, and forgets the observation that is of no use without it. */
  forget(): void {
    this.#cancelExpiry();
    this.#priority.endWatch();
    this.#isExpired = false;
    this.#isCurrent = false;
    this.#last = undefined;
    this.#progress = new LeaderProgress();
  }

  async #write(how: Try): Promise<Deadline> {
    const { identity, leaseDurationMs, renewDeadlineMs } = this.#options;
    const call = how.nextCall();
    const nowMs = this.#clock.nowMs();
    // The digits below the clock's resolution distinguish two processes of one identity that claim in the same
    // millisecond.
    this.#acquireTime ??= formatEpochMs(nowMs, Math.floor(this.#clock.random() * 1000));
    const last = this.#last;
    const record: LeaseRecord = {
      holder: identity,
      durationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: this.#acquireTime,
      renewTime: formatEpochMs(nowMs),
      transitions: last === undefined ? 0 : last.transitions + (this.#isMine(last) ? 0 : 1),
      unwrittenSince: this.#formatPersistedUntil(last),
      missingSince: formatEpochMs(this.facts.missingSinceMs?.()),
      streamGaps: this.facts.streamGaps?.() ?? last?.streamGaps ?? "",
      // Another standby announces itself again.
      standby: last === undefined || last.standby === identity ? "" : last.standby,
    };
    const isTaken = last !== undefined && !this.#isMine(last);
    const deadline = new Deadline(this.#clock, renewDeadlineMs, how.onDeadline);
    const base = this.#stored;
    // Until there is an answer, the write may or may not have succeeded.
    this.#isCurrent = false;
    try {
      const stored = await (base ? this.#store.update(base, record, call) : this.#store.create(record, call));
      if (!this.#isMine(stored.record)) {
        throw new ApiError("Unknown", "the API server stored another Lease than was sent; does a webhook change it?");
      }
      this.#observe(stored);
      if (isTaken)
        this.#predecessor = {
          holder: last.holder,
          isSelf: last.holder === identity,
          persistedUntilMs: parseEpochMs(last.unwrittenSince),
          persistedHereMs: this.#progress.persistedMs,
          streamGaps: last.streamGaps,
        };
      return deadline;
    } catch (error) {
      deadline.cancel();
      throw error;
    }
  }

  #observe(found: StoredLease | undefined): void {
    const before = this.#last;
    this.#stored = found;
    this.#isCurrent = found !== undefined;
    if (found === undefined) return;
    const { record } = found;
    this.#last = record;
    if (before !== undefined && isSameRecord(before, record)) return;
    this.#priority.endWatch();
    this.#cancelExpiry();
    this.#isExpired = false;
    if (this.#isMine(record)) return;
    this.#progress.observe(record, this.#clock.monotonicMs());
    // A claim that is still in flight is based on an old version.
    this.#acquireTime = undefined;
    if (record.holder === "") return;
    if (record.holder !== before?.holder) this.#options.onHolder(record.holder);
    // A timer and no comparison of times: a clock that is set forward must not make a Lease look expired.
    const knownMs = before ? 0 : (this.#options.getUnchangedMs?.(record.renewTime) ?? 0);
    const leftMs = (record.durationSeconds * 1000 || this.#options.leaseDurationMs) - knownMs;
    this.#cancelExpiry = this.#clock.after(Math.min(MAX_TIMER_MS, Math.max(0, leftMs)), () => {
      this.#isExpired = true;
      this.#options.onFree();
    });
  }

  #formatPersistedUntil(last: LeaseRecord | undefined): string {
    return formatEpochMs(this.facts.persistedUntilMs?.()) || (last?.unwrittenSince ?? "");
  }

  #isMine(record: LeaseRecord): boolean {
    return record.holder === this.#options.identity && record.acquireTime === this.#acquireTime;
  }
}
