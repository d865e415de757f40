// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The AcceptedViolations of the cluster: which are in effect now, and when that changes.
// Invariant: what is not read, not valid or out of time accepts nothing; a change is told once it has effect.

import { API_GROUP, API_VERSION } from "../api/names.ts";
import type { ApiErrorCode } from "../kube/api-error.ts";
import type { ApiRequester, ApiStreamer } from "../kube/client.ts";
import { type FollowObserver, follow } from "../kube/follow.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import type { Acceptance, AcceptanceCatalog } from "../report/acceptance.ts";
import { AcceptanceIndex, keyOf, MAX_PER_POLICY } from "./acceptance-index.ts";
import { type ReadAcceptance, readAcceptance } from "./parse-acceptance.ts";
import { type Matched, StatusWriter } from "./status-writer.ts";

export interface AcceptanceWatchOptions {
  client: ApiRequester & ApiStreamer;
  clock: Clock;
  logger: Logger;
  /** What is accepted of this policy in this namespace may be other than before. */
  onChange: (namespace: string, policy: string) => void;
  /** What of the reports an acceptance matches. */
  matched: (namespace: string, acceptance: Acceptance) => Matched;
  /** Whether this process writes statuses now. */
  mayWrite: () => boolean;
  /** Acceptances kept; default 10,000. */
  max?: number;
  /** As in FollowOptions. */
  absentRetryMs?: number;
}

export const ACCEPTANCES_PATH = `/apis/${API_GROUP}/${API_VERSION}/acceptedviolations`;

/** A timer takes no more than 24 days. */
const MAX_WAIT_MS = 3_600_000;

/** Follows the acceptances while it runs; run it once at a time. What it knows stays when it ends. */
export class AcceptanceWatch implements AcceptanceCatalog, FollowObserver {
  /** Acceptances that there was no room for. */
  leftOut = 0;
  readonly #options: AcceptanceWatchOptions;
  readonly #tried = Promise.withResolvers<void>();
  readonly #index: AcceptanceIndex;
  readonly #statuses: StatusWriter;
  /** Keys that the list that is being read has told. */
  #listing: Set<string> | undefined;
  #told: ApiErrorCode | undefined;
  #cancelTimer: (() => void) | undefined;
  /** What expired before this time has been told. */
  #expiredUntilMs: number;
  #isRunning = false;

  constructor(options: AcceptanceWatchOptions) {
    this.#options = options;
    this.#index = new AcceptanceIndex(options.max ?? 10_000);
    this.#expiredUntilMs = options.clock.nowMs();
    this.#statuses = new StatusWriter(options, this.#index);
  }

  get size(): number {
    return this.#index.size;
  }

  /** Status writes by what came of them. */
  get statusWrites(): Readonly<Record<string, number>> {
    return this.#statuses.results;
  }

  /** Follows, and writes statuses, until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, absentRetryMs } = this.#options;
    this.#isRunning = true;
    this.#expire();
    const options = { client, clock, path: ACCEPTANCES_PATH };
    await Promise.all([
      follow(absentRetryMs === undefined ? options : { ...options, absentRetryMs }, this, signal),
      this.#statuses.run(signal),
    ]);
    this.#isRunning = false;
    this.#cancelTimer?.();
  }

  /** Resolves when they were looked for once, whatever came of it. */
  async ready(): Promise<void> {
    await this.#tried.promise;
  }

  of(namespace: string, policy: string): readonly Acceptance[] {
    const nowUs = this.#options.clock.nowMs() * 1000;
    return this.#index
      .group(namespace, policy)
      .slice(0, MAX_PER_POLICY)
      .flatMap(({ effect }) =>
        "problem" in effect || isOver(effect.expiresUs, nowUs) ? [] : [effect.acceptance],
      );
  }

  /** A report was written: what matches it may have changed. */
  onReport(namespace: string, policy: string): void {
    for (const read of this.#index.group(namespace, policy)) this.#statuses.note(keyOf(read));
  }

  onListing(): void {
    this.#listing = new Set();
    this.leftOut = 0;
  }

  onObject(item: unknown): void {
    const read = readAcceptance(item);
    if (!read) return;
    const key = keyOf(read);
    const before = this.#index.get(key);
    this.#listing?.add(key);
    if (!this.#index.put(read)) {
      this.leftOut++;
      if (this.leftOut === 1) this.#sayFull();
      return;
    }
    this.#statuses.note(key);
    if (before && before.uid === read.uid && before.generation === read.generation) return;
    this.#changed(before);
    this.#changed(read);
    this.#arm();
  }

  onListed(): void {
    const told = this.#listing ?? new Set();
    this.#listing = undefined;
    for (const read of [...this.#index.values()]) if (!told.has(keyOf(read))) this.#remove(read);
    this.#tried.resolve();
  }

  onRemoved(item: unknown): void {
    const read = readAcceptance(item);
    if (read) this.#remove(this.#index.get(keyOf(read)));
  }

  onProblem(problem: { code: ApiErrorCode; message: string } | undefined): void {
    this.#listing = undefined;
    const { logger } = this.#options;
    if (problem === undefined) {
      if (this.#told !== undefined) logger.info({}, "accepted violations can be followed");
      this.#told = undefined;
      return;
    }
    this.#tried.resolve();
    if (this.#told === problem.code) return;
    this.#told = problem.code;
    logger.warn(
      { answer: problem.message },
      "accepted violations can't be followed: what is known of them stays; will try again",
    );
  }

  #remove(read: ReadAcceptance | undefined): void {
    if (!read) return;
    this.#index.remove(keyOf(read));
    this.#statuses.note(keyOf(read));
    this.#changed(read);
  }

  /** Others of the policy may have effect now that had none, for there were too many. */
  #changed(read: ReadAcceptance | undefined): void {
    if (read?.policy === undefined) return;
    this.onReport(read.namespace, read.policy);
    this.#options.onChange(read.namespace, read.policy);
  }

  /** Tells what has expired since it was last looked, and waits for the next. */
  #expire(): void {
    const fromUs = this.#expiredUntilMs * 1000;
    this.#expiredUntilMs = this.#options.clock.nowMs();
    const nowUs = this.#expiredUntilMs * 1000;
    for (const read of this.#index.values()) {
      const expiresUs = expiryOf(read);
      if (expiresUs !== undefined && expiresUs > fromUs && expiresUs <= nowUs) this.#changed(read);
    }
    this.#arm();
  }

  #arm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (!this.#isRunning) return;
    const { clock } = this.#options;
    const nowMs = clock.nowMs();
    let nextMs = nowMs + MAX_WAIT_MS;
    for (const read of this.#index.values()) {
      const expiresUs = expiryOf(read);
      if (expiresUs !== undefined && expiresUs > this.#expiredUntilMs * 1000)
        nextMs = Math.min(nextMs, Math.ceil(expiresUs / 1000));
    }
    this.#cancelTimer = clock.after(Math.max(0, nextMs - nowMs), () => this.#expire());
  }

  #sayFull(): void {
    this.#options.logger.warn(
      { kept: this.#index.size },
      "there are more accepted violations than are kept: those beyond have no effect",
    );
  }
}

function expiryOf({ effect }: ReadAcceptance): number | undefined {
  return "problem" in effect ? undefined : effect.expiresUs;
}

function isOver(expiresUs: number | undefined, nowUs: number): boolean {
  return expiresUs !== undefined && expiresUs <= nowUs;
}
