// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows the AcceptedViolations of the cluster: which are in effect now, and when that changes.
// Invariant: an acceptance that is not read, not valid or expired accepts nothing; onChange is called once a change
// has effect.

import { API_GROUP_VERSION } from "../api/names.ts";
import type { ApiRequester, ApiStreamer } from "../kube/client.ts";
import { type FollowObserver, type FollowProblem, follow } from "../kube/follow.ts";
import { toObjectKey } from "../lib/object-key.ts";
import type { AcceptanceCatalog, AcceptanceSet } from "../report/acceptance-set.ts";
import { AcceptanceIndex, type IndexLimits, type Place } from "./acceptance-index.ts";
import type { ApplyDenials } from "./denials.ts";
import { type ReadAcceptance, readAcceptance } from "./parse-acceptance.ts";
import { StatusWriter, type StatusWriterOptions } from "./status-writer.ts";

export interface AcceptanceWatchOptions extends StatusWriterOptions, IndexLimits {
  client: ApiRequester & ApiStreamer;
  /** Called when other violations of this policy in this namespace may be accepted than before. */
  onChange: (namespace: string, policy: string) => void;
  /** Default: nothing is denied. */
  applyDenials?: ApplyDenials;
  /** As in FollowOptions. */
  absentRetryMs?: number;
}

export const ACCEPTANCES_PATH = `/apis/${API_GROUP_VERSION}/acceptedviolations`;

/** A timer takes at most 24 days. */
const MAX_WAIT_MS = 3_600_000;
/** Acceptances that expire at many different times are looked through at most this often. */
const MIN_EXPIRY_MS = 250;
/** Pause before the list is read again, after one has left while others were left out. */
const RELIST_MS = 60_000;
/** Keys remembered of acceptances beyond the bounds. */
const MAX_LEFT_OUT = 10_000;

/** Follows the acceptances while it runs; run it once at a time. What it knows stays when it ends. */
export class AcceptanceWatch implements AcceptanceCatalog, FollowObserver {
  readonly #options: AcceptanceWatchOptions;
  readonly #tried = Promise.withResolvers<void>();
  readonly #index: AcceptanceIndex;
  readonly #statuses: StatusWriter;
  /** Keys of acceptances beyond the bounds. */
  readonly #leftOut = new Set<string>();
  /** Keys that the list which is being read has not reported yet. */
  #unlisted: Set<string> | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Time at which the timer fires; infinite without one. */
  #timerMs = Number.POSITIVE_INFINITY;
  /** Expiries up to this time have been handled. */
  #expiredUntilMs: number;
  #isRunning = false;
  #relist = new AbortController();
  #cancelRelist: (() => void) | undefined;

  constructor(options: AcceptanceWatchOptions) {
    this.#options = options;
    const { clock } = options;
    this.#index = new AcceptanceIndex(() => clock.nowMs() * 1000, options);
    this.#expiredUntilMs = clock.nowMs();
    this.#statuses = new StatusWriter(options, this.#index);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Acceptances beyond the bounds; at most MAX_LEFT_OUT are counted. */
  get leftOut(): number {
    return this.#leftOut.size;
  }

  get statusWrites(): Readonly<Record<string, number>> {
    return this.#statuses.results;
  }

  /** Follows, and writes statuses, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    this.#isRunning = true;
    this.#expire();
    await Promise.all([this.#follow(signal), this.#statuses.run(signal)]);
    this.#isRunning = false;
    this.#cancelTimer?.();
    this.#cancelRelist?.();
    this.#cancelRelist = undefined;
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { client, clock, absentRetryMs } = this.#options;
    while (!signal.aborted) {
      this.#relist = new AbortController();
      await follow(
        { client, clock, absentRetryMs, path: ACCEPTANCES_PATH },
        this,
        AbortSignal.any([signal, this.#relist.signal]),
      );
    }
  }

  /** Resolves after the first attempt to list, with any result. */
  async ready(): Promise<void> {
    await this.#tried.promise;
  }

  find(namespace: string, policy: string): AcceptanceSet | undefined {
    const set = this.#index.effective(namespace, policy);
    return set?.isActive ? set : undefined;
  }

  /** A report was written: what acceptances match may have changed. */
  onReport(namespace: string, policy: string): void {
    this.#statuses.noteReport(namespace, policy);
  }

  /** This process may have reports that another one had. */
  onReportsLoaded(): void {
    this.#statuses.noteAll();
  }

  onListing(): void {
    this.#unlisted = new Set([...[...this.#index.values()].map(toObjectKey), ...this.#leftOut]);
  }

  onObject(item: unknown): void {
    const found = readAcceptance(item);
    if (!found) return;
    const read = this.#options.applyDenials?.(found) ?? found;
    const key = toObjectKey(read);
    this.#unlisted?.delete(key);
    const before = this.#index.get(read);
    if (before && before.uid === read.uid && before.generation === read.generation) {
      before.status = read.status;
      before.resourceVersion = read.resourceVersion;
      this.#statuses.note(before);
      return;
    }
    const left = this.#index.put(read);
    if (before) this.#changed(before);
    if (!left.includes(read)) this.#changed(read);
    for (const other of left) if (other !== read) this.#changed(other);
    if (left.length > 0 && this.#leftOut.size === 0)
      this.#options.logger.warn({ kept: this.#index.size }, "too many accepted violations, some left out");
    this.#leftOut.delete(key);
    for (const other of left) if (this.#leftOut.size < MAX_LEFT_OUT) this.#leftOut.add(toObjectKey(other));
    const expiresUs = getExpiry(read);
    if (expiresUs !== undefined && Math.ceil(expiresUs / 1000) < this.#timerMs) this.#arm();
  }

  onListed(): void {
    const gone = this.#unlisted ?? new Set();
    this.#unlisted = undefined;
    const removed = [...this.#index.values()].filter((read) => gone.has(toObjectKey(read)));
    for (const read of removed) this.#remove(read);
    for (const key of gone) this.#leftOut.delete(key);
    if (removed.length > 0) this.#fillUp();
    this.#tried.resolve();
  }

  onRemoved(item: unknown): void {
    const read = readAcceptance(item);
    if (!read) return;
    this.#remove(read);
    this.#leftOut.delete(toObjectKey(read));
    this.#fillUp();
  }

  onProblem({ message, isNew }: FollowProblem): void {
    this.#unlisted = undefined;
    this.#tried.resolve();
    if (isNew) this.#options.logger.warn({ answer: message }, "failed to follow accepted violations");
  }

  onOpen(wasInterrupted: boolean): void {
    if (wasInterrupted) this.#options.logger.info({}, "following accepted violations again");
  }

  #remove(place: Place): void {
    const read = this.#index.remove(place);
    if (read) this.#changed(read);
  }

  #changed(read: ReadAcceptance): void {
    this.#statuses.note(read);
    for (const other of this.#index.boundary(read)) this.#statuses.note(other);
    if (read.policy !== undefined) this.#options.onChange(read.namespace, read.policy);
  }

  /** Reports acceptances that have expired since the last call, and schedules the next call. */
  #expire(): void {
    const fromUs = this.#expiredUntilMs * 1000;
    this.#expiredUntilMs = this.#options.clock.nowMs();
    const nowUs = this.#expiredUntilMs * 1000;
    for (const read of this.#index.values()) {
      const expiresUs = getExpiry(read);
      if (expiresUs !== undefined && expiresUs > fromUs && expiresUs <= nowUs) this.#changed(read);
    }
    this.#arm();
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (!this.#isRunning) return;
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    let nextMs = nowMs + MAX_WAIT_MS;
    for (const read of this.#index.values()) {
      const expiresUs = getExpiry(read);
      if (expiresUs !== undefined && expiresUs > this.#expiredUntilMs * 1000)
        nextMs = Math.min(nextMs, Math.ceil(expiresUs / 1000));
    }
    this.#timerMs = Math.max(nextMs, this.#expiredUntilMs + MIN_EXPIRY_MS);
    this.#cancelTimer = clock.after(Math.max(0, this.#timerMs - nowMs), () => this.#expire());
  }

  /** Reads the list again where one that was left out may have a place now. */
  #fillUp(): void {
    if (this.#leftOut.size === 0) return;
    this.#cancelRelist ??= this.#options.clock.after(RELIST_MS, () => {
      this.#cancelRelist = undefined;
      this.#relist.abort();
    });
  }
}

function getExpiry({ effect }: ReadAcceptance): number | undefined {
  return "problem" in effect ? undefined : effect.expiresUs;
}
