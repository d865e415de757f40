// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns what one process knows of a Lease and by which right it writes it: to create, take over, renew or free it.
// Invariant: never judges by a time in the Lease. A record is ours only when this process wrote it. A record of the same
// identity is of an earlier process of this pod, which is dead: an identity belongs to one process at a time.

import { ApiError, type ApiErrorCode } from "../kube/api-error.ts";
import { Deadline } from "../kube/deadline.ts";
import type { Clock } from "../lib/clock.ts";
import {
  isSameRecord,
  type LeaseCall,
  type LeaseRecord,
  type LeaseStore,
  type StoredLease,
  toMicroTime,
} from "./lease.ts";

export interface LeaseClaimOptions {
  /** The holder's name in the Lease; not empty. */
  identity: string;
  /** Time that other replicas wait for a sign of life; the Lease holds it in seconds, rounded up. */
  leaseDurationMs: number;
  /** Time for which a successful write is a right to lead, counted from before it was sent. */
  renewDeadlineMs: number;
  /** Between two tries; a replica's are up to 2.2 times as far apart. */
  retryPeriodMs: number;
  /** Called when the Lease names another holder than before. */
  onHolder: (holder: string) => void;
  /**
   * Time before which everything counted is persisted, written with each update of the Lease; undefined keeps the
   * Lease's value.
   */
  persistedUntilMs?: (() => number | undefined) | undefined;
}

/** A previous leader, as its Lease described it last. */
export interface Predecessor {
  /** Whom the Lease named; empty when it had been freed. */
  holder: string;
  /** An earlier process of this replica: nothing that this process has read can be in its reports. */
  isSelf: boolean;
  /** Everything that it counted before this time is persisted. Milliseconds since the epoch; undefined when unknown. */
  persistedUntilMs: number | undefined;
}

const RELEASE_TRIES = 3;
/**
 * Tries that a replica that is not warm leaves to the others once the Lease is free: they look at least once in two of
 * its own.
 */
const COLD_TRIES = 3;
/** client-go's factor: a replica waits 1 to 2.2 retry periods, so that replicas don't ask at the same time. */
export const JITTER_FACTOR = 1.2;
/** A longer timer would ring at once; 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const OVERTAKEN: readonly ApiErrorCode[] = ["Conflict", "AlreadyExists", "NotFound"];

/** Returns true where a write failed because the Lease has changed since it was read, which needs no action. */
export function isOvertaken(error: unknown): boolean {
  return error instanceof ApiError && OVERTAKEN.includes(error.code);
}

/** Options of one try. */
export interface Try {
  /** Allows to take a Lease that has no holder, or a silent one; else it is only kept. */
  mayTake: boolean;
  /**
   * Called where the Lease can be taken: returns true while this process is caught up; else it lets others go first for
   * a while.
   */
  isWarm: () => boolean;
  /** Asked before each request. */
  nextCall: () => LeaseCall;
  /** Called when a deadline that this try returned comes to its end. */
  onDeadline: () => void;
}

/** One process's claim on one Lease. */
export class LeaseClaim {
  readonly #options: LeaseClaimOptions;
  readonly #store: LeaseStore;
  readonly #clock: Clock;

  /** As last read or written, where it exists: what an update is based on. */
  #stored: StoredLease | undefined;
  /** Nothing has happened that could have changed `stored`: an update needs no read before it. */
  #isCurrent = false;
  /** Outlives the Lease: its deletion does not end its holder's time. */
  #last: LeaseRecord | undefined;
  /** `last` is another's, and its time has passed without a change. */
  #isExpired = false;
  #cancelExpiry: () => void = () => {};
  /** True when `last` did not change, or could not be read, for long enough that no other replica can want it. */
  #isLongWatched = false;
  #cancelWatch: (() => void) | undefined;
  /** Tries in a row in which the Lease could have been taken by a process that is warm. */
  #coldTries = 0;
  #predecessor: Predecessor | undefined;
  /** The acquireTime of the record that this process wrote, or may have written. */
  #acquireTime: string | undefined;

  constructor(options: LeaseClaimOptions, store: LeaseStore, clock: Clock) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
  }

  /** Holder of the Lease when it was last seen; undefined when it was not seen, or had no holder. */
  get holder(): string | undefined {
    return this.#last?.holder || undefined;
  }

  /** The holder's persisted time as last seen in the Lease; undefined when the Lease was not seen, or has none. */
  get persistedUntilMs(): number | undefined {
    return this.#last === undefined ? undefined : parseEpochMs(this.#last.unwrittenSince);
  }

  /** Previous holder of the Lease that was taken; undefined where there was none, or none was taken. */
  get predecessor(): Predecessor | undefined {
    return this.#predecessor;
  }

  /** True when the Lease was last seen with another holder or without one. */
  get isLost(): boolean {
    return this.#last !== undefined && !this.#isMine(this.#last);
  }

  /** Takes or keeps the Lease; undefined when it is another's. Throws ApiError. */
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
      this.#endWatch();
      throw error;
    }
    this.#watch();
    if (this.#last !== undefined && !this.#isMine(this.#last)) {
      if (this.#last.holder === this.#options.identity && how.mayTake) return await this.#write(how);
      const isFree = this.#last.holder === "" || this.#isExpired;
      if (!isFree) this.#coldTries = 0;
      if (!isFree || !how.mayTake) return undefined;
      if (!how.isWarm() && !this.#isLeftByOthers()) return undefined;
    }
    return await this.#write(how);
  }

  /** Frees the Lease where it names, or may name, this process; returns whether it had to. Throws ApiError. */
  async free(call: LeaseCall): Promise<boolean> {
    // A claim may have been carried out unseen, and a Lease that was not renewed in time may still be ours.
    if (this.#acquireTime === undefined) return false;
    for (let tryNumber = 1; ; tryNumber++) {
      if (!this.#isCurrent) this.#observe(await this.#store.read(call));
      const base = this.#stored;
      if (base === undefined || !this.#isMine(base.record)) return false;
      const now = toMicroTime(this.#clock.nowMs(), 0);
      this.#isCurrent = false;
      try {
        // As client-go: no holder, and the shortest duration that the API accepts.
        const times = {
          acquireTime: now,
          renewTime: now,
          unwrittenSince: this.#formatPersistedUntil(base.record),
        };
        const record = { ...base.record, holder: "", durationSeconds: 1, ...times };
        this.#observe(await this.#store.update(base, record, call));
        return true;
      } catch (error) {
        // The version may have moved by a renewal that was cut short; then the Lease is still ours to free.
        if (!isOvertaken(error) || tryNumber === RELEASE_TRIES) throw error;
      }
    }
  }

  /** Leaves no timer behind. What was observed is worth nothing without the timer of its expiry. */
  forget(): void {
    this.#cancelExpiry();
    this.#endWatch();
    this.#isExpired = false;
    this.#isCurrent = false;
    this.#last = undefined;
  }

  async #write(how: Try): Promise<Deadline> {
    const { identity, leaseDurationMs, renewDeadlineMs } = this.#options;
    const call = how.nextCall();
    const nowMs = this.#clock.nowMs();
    // The digits below the clock's resolution distinguish two processes of one identity that claim in the same
    // millisecond.
    this.#acquireTime ??= toMicroTime(nowMs, Math.floor(this.#clock.random() * 1000));
    const last = this.#last;
    const record: LeaseRecord = {
      holder: identity,
      durationSeconds: Math.ceil(leaseDurationMs / 1000),
      acquireTime: this.#acquireTime,
      renewTime: toMicroTime(nowMs, 0),
      transitions: last === undefined ? 0 : last.transitions + (this.#isMine(last) ? 0 : 1),
      unwrittenSince: this.#formatPersistedUntil(last),
    };
    const isTaken = last !== undefined && !this.#isMine(last);
    const deadline = new Deadline(this.#clock, renewDeadlineMs, how.onDeadline);
    const base = this.#stored;
    // Until an answer says otherwise, the write may or may not have been carried out.
    this.#isCurrent = false;
    try {
      const stored = await (base ? this.#store.update(base, record, call) : this.#store.create(record, call));
      if (!this.#isMine(stored.record)) {
        throw new ApiError(
          "Unknown",
          "the API server stored another Lease than was sent; does a webhook change it?",
        );
      }
      this.#observe(stored);
      if (isTaken)
        this.#predecessor = {
          holder: last.holder,
          isSelf: last.holder === identity,
          persistedUntilMs: parseEpochMs(last.unwrittenSince),
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
    if (found === undefined || (before !== undefined && isSameRecord(before, found.record))) return;
    const { record } = found;
    this.#last = record;
    this.#endWatch();
    this.#cancelExpiry();
    this.#isExpired = false;
    if (this.#isMine(record)) return;
    // A claim that is still on its way is based on a version that is no more.
    this.#acquireTime = undefined;
    if (record.holder === "") return;
    if (record.holder !== before?.holder) this.#options.onHolder(record.holder);
    // A timer and no comparison of times: a clock that is set forward must not make a Lease look expired.
    const durationMs = record.durationSeconds * 1000 || this.#options.leaseDurationMs;
    this.#cancelExpiry = this.#clock.after(Math.min(MAX_TIMER_MS, durationMs), () => {
      this.#isExpired = true;
    });
  }

  /**
   * Returns true where a process that is not warm may take a Lease, because others who could have taken it have not.
   * The next look sees a Lease that was released. After an outage of the API server another replica may see the last
   * sign of life only now, and look again that much later; a look that fails restarts the time.
   */
  #isLeftByOthers(): boolean {
    return this.#last?.holder === "" ? this.#coldTries++ >= COLD_TRIES : this.#isLongWatched;
  }

  #watch(): void {
    if (this.#cancelWatch !== undefined || this.#last === undefined || this.#isMine(this.#last)) return;
    const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = this.#options;
    // A request that hangs, the pause after it, the Lease's duration, and the pause until the next look.
    const ms = renewDeadlineMs / 2 + leaseDurationMs + 2 * (1 + JITTER_FACTOR) * retryPeriodMs;
    this.#cancelWatch = this.#clock.after(Math.min(MAX_TIMER_MS, ms), () => {
      this.#isLongWatched = true;
    });
  }

  #endWatch(): void {
    this.#cancelWatch?.();
    this.#cancelWatch = undefined;
    this.#isLongWatched = false;
  }

  #formatPersistedUntil(last: LeaseRecord | undefined): string {
    const ms = this.#options.persistedUntilMs?.();
    return ms === undefined ? (last?.unwrittenSince ?? "") : toMicroTime(ms, 0);
  }

  #isMine(record: LeaseRecord): boolean {
    return record.holder === this.#options.identity && record.acquireTime === this.#acquireTime;
  }
}

function parseEpochMs(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
