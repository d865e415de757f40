// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Copies the reports of one kind: follows the metadata of the reports and of their copies, queues the copies that are out
// of date, and reads and writes one at its turn.
// Invariant: the API that is not there, refuses or fails is tried again, and each reason is logged once. Two attempts on
// one report are at least `minIntervalMs` apart, unless a retry or the API's return asks for less.

import type { OpenReport, OpenReportLimits } from "../../api/openreports.ts";
import type { Report } from "../../api/v1alpha1.ts";
import { ApiError } from "../../kube/api-error.ts";
import { type FollowObserver, type FollowOptions, type FollowProblem, follow } from "../../kube/follow.ts";
import type { Logger } from "../../lib/logger.ts";
import { toApiPath, toObjectKey } from "../../lib/object-key.ts";
import { RetryPolicy } from "../../lib/pacing/retry-policy.ts";
import type { WorkQueue } from "../../lib/pacing/work-queue.ts";
import { REPORTS_API, SELECTOR } from "../cluster-sink.ts";
import { type CopyState, CopyStates } from "./copy-states.ts";
import {
  ForeignObjectError,
  isUpToDate,
  OPENREPORTS_API,
  OpenReportStore,
  type ReportPair,
} from "./openreport-store.ts";
import { FIXED_PAUSES, type PublishResult } from "./publish-result.ts";
import { observeNames, type StoredName, type StoredNamesObserver } from "./stored-names.ts";

/** PORT: how a report becomes an OpenReports object. */
export interface OpenReportMapping {
  copyName(reportName: string): string;
  /** `limits` are those of the stored copy; `mostThatFit` lowers any limit. */
  map(report: Report, limits: OpenReportLimits | undefined, mostThatFit: number | undefined): OpenReport;
}

export interface OpenReportPublisherOptions extends Pick<FollowOptions, "client" | "clock" | "absentRetryMs"> {
  logger: Logger;
  mapping: OpenReportMapping;
  /** Warns when the cluster does not serve OpenReports; without it that is expected. */
  isRequired: boolean;
  /** Between two writes of one copy. Milliseconds. */
  minIntervalMs: number;
  /** Reports that have a copy. */
  maxReports: number;
  /** Read before each write. */
  isLeader: () => boolean;
}

const RETRY = { minMs: 1000, maxMs: 60_000 };
/** Ranks of the queue: missing copies come before those to check or change. */
const [MISSING, CHANGED] = [0, 1];
export const RANKS = 2;

export class CopyController {
  isServed = false;
  readonly #pair: ReportPair;
  readonly #options: OpenReportPublisherOptions;
  readonly #queue: WorkQueue;
  readonly #count: (result: PublishResult) => void;
  readonly #store: OpenReportStore;
  readonly #states: CopyStates;
  /** resourceVersion of every copy, by key, including orphans until they are collected. */
  readonly #copies = new Map<string, string>();
  #signal = AbortSignal.abort();
  #loggedRefusal: string | undefined;

  constructor(
    pair: ReportPair,
    options: OpenReportPublisherOptions,
    queue: WorkQueue,
    count: (result: PublishResult) => void,
  ) {
    this.#pair = pair;
    this.#options = options;
    this.#queue = queue;
    this.#count = count;
    this.#store = new OpenReportStore(options.client);
    this.#states = new CopyStates(options.maxReports);
  }

  get leftOut(): number {
    return this.#states.leftOut;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { client, clock, absentRetryMs } = this.#options;
    for (const key of this.#states.known) this.#forget(key);
    this.#copies.clear();
    this.#signal = signal;
    const common = { client, clock, absentRetryMs, labelSelector: SELECTOR, isMetadataOnly: true };
    const served = Promise.withResolvers<void>();
    const { reports: plural, openReports } = this.#pair;
    const copiesPath = toApiPath(OPENREPORTS_API, openReports);
    const copies = follow({ ...common, path: copiesPath }, this.#observeCopies(served.resolve), signal);
    // Reports are followed only where there is something to copy them to.
    await Promise.race([served.promise, copies]);
    const reports = follow({ ...common, path: toApiPath(REPORTS_API, plural) }, this.#observeReports(), signal);
    await Promise.all([copies, reports]);
    this.isServed = false;
  }

  #observeCopies(onServed: () => void): FollowObserver {
    const observer: StoredNamesObserver = {
      onPresent: (key, { resourceVersion }) => {
        this.#copies.set(key, resourceVersion);
        this.#compare(key);
      },
      onAbsent: (key) => {
        this.#copies.delete(key);
        this.#compare(key);
      },
      onListed: onServed,
      onProblem: (problem) => this.#onProblem(problem),
      onOpen: () => {
        if (!this.isServed) this.#onServed();
        this.isServed = true;
      },
    };
    return observeNames(observer, toObjectKey, () => this.#copies.keys());
  }

  #observeReports(): FollowObserver {
    const { copyName } = this.#options.mapping;
    const observer: StoredNamesObserver = {
      onPresent: (key, { namespace, name, resourceVersion }) => {
        const state = this.#states.ensure(key, namespace, name);
        if (!state || state.reportVersion === resourceVersion) return;
        state.reportVersion = resourceVersion;
        this.#mark(key, state);
      },
      onAbsent: (key) => this.#forget(key),
      // The leader's own list and writes report problems with reports.
      onProblem: () => {},
      onOpen: () => {},
    };
    const keyOfCopy = ({ namespace, name }: StoredName) => toObjectKey({ namespace, name: copyName(name) });
    return observeNames(observer, keyOfCopy, () => this.#states.known);
  }

  #forget(key: string): void {
    this.#states.delete(key);
    this.#queue.forget(key);
  }

  /** Marks a copy that was changed or deleted from outside. */
  #compare(key: string): void {
    const state = this.#states.get(key);
    // Before the first attempt it is due anyway, and the event of a write may come before its answer.
    if (state?.triedMs === undefined || state.isInFlight) return;
    if (this.#copies.get(key) !== state.writtenVersion) this.#mark(key, state);
  }

  #mark(key: string, { triedMs }: CopyState): void {
    const { clock, minIntervalMs } = this.#options;
    if (triedMs === undefined) this.#queue.add(key, this.#copies.has(key) ? CHANGED : MISSING);
    else this.#queue.addAfter(key, CHANGED, Math.max(0, triedMs + minIntervalMs - clock.monotonicMs()));
  }

  /** True where the copy is of a report of this kind. */
  has(key: string): boolean {
    return this.#states.get(key) !== undefined;
  }

  /** Brings one copy up to date, and queues it again after a failure. */
  async publish(key: string): Promise<void> {
    const state = this.#states.get(key);
    const signal = this.#signal;
    if (!state || signal.aborted) return;
    state.triedMs = this.#options.clock.monotonicMs();
    state.isInFlight = true;
    try {
      const result = await this.#copy(key, state, signal);
      if (result === undefined) return;
      this.#count(result);
      state.retry = undefined;
      this.#loggedRefusal = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError || error instanceof ForeignObjectError)) throw error;
      this.#onFailure(key, state, error);
    } finally {
      state.isInFlight = false;
    }
  }

  /** Brings one copy up to date; undefined where there is nothing to copy any more. */
  async #copy(key: string, state: CopyState, signal: AbortSignal): Promise<PublishResult | undefined> {
    const { mapping, isLeader } = this.#options;
    const report = await this.#store.readReport(this.#pair, state, signal);
    if (!report) return undefined;
    state.reportVersion = report.metadata.resourceVersion;
    const target = { namespace: state.namespace, name: mapping.copyName(state.name) };
    const stored = this.#copies.has(key)
      ? await this.#store.readOpenReport(this.#pair, target, report, signal)
      : undefined;
    const next = mapping.map(report, stored?.configuration?.limits, state.mostThatFit);
    if (stored && isUpToDate(next, stored)) {
      this.#onStored(key, state, stored.metadata.resourceVersion);
      return "unchanged";
    }
    if (!isLeader()) return undefined;
    try {
      const { resourceVersion } = await this.#store.write(this.#pair, next, stored, signal);
      this.#onStored(key, state, resourceVersion);
      return "written";
    } catch (error) {
      if (!(error instanceof ApiError && error.code === "TooLarge") || next.results.length === 1) throw error;
      return this.#shrink(key, state, next.results.length);
    }
  }

  #onStored(key: string, state: CopyState, resourceVersion: string | undefined): void {
    state.writtenVersion = resourceVersion;
    if (resourceVersion !== undefined) this.#copies.set(key, resourceVersion);
  }

  #onFailure(key: string, state: CopyState, error: ApiError | ForeignObjectError): void {
    const { clock } = this.#options;
    const code = error instanceof ApiError ? error.code : "Foreign";
    if (code === "NamespaceGone") return;
    // An object that the watch does not show: it carries another label, or its event is late.
    if (code === "AlreadyExists") this.#copies.set(key, "");
    const { result, afterMs } = FIXED_PAUSES[code] ?? {
      result: "retry",
      afterMs: (state.retry ??= new RetryPolicy(clock, RETRY)).nextMs(),
    };
    this.#count(result);
    const askedMs = error instanceof ApiError ? (error.retryAfterMs ?? 0) : 0;
    this.#queue.requeueAfter(key, CHANGED, Math.max(afterMs, askedMs));
    if (result === "refused") this.#logRefusal(state, code, error.message);
  }

  #shrink(key: string, state: CopyState, results: number): PublishResult {
    state.mostThatFit = Math.floor(results / 2);
    this.#queue.add(key, CHANGED);
    this.#options.logger.warn(
      { namespace: state.namespace, report: state.name, results: state.mostThatFit },
      "OpenReports object too large, listing fewer results",
    );
    return "too_large";
  }

  /** Logs a refusal once, however many reports meet it. */
  #logRefusal({ namespace, name }: CopyState, code: string, answer: string): void {
    if (this.#loggedRefusal === code) return;
    this.#loggedRefusal = code;
    this.#options.logger.error({ namespace, report: name, answer }, "OpenReports write refused");
  }

  /** Tries again at once what failed while the API was not served. */
  #onServed(): void {
    this.#options.logger.info({ kind: this.#pair.openReports }, "publishing OpenReports");
    for (const key of this.#states.known) {
      const rank = this.#queue.waitingRank(key);
      if (rank === undefined) continue;
      this.#queue.forget(key);
      this.#queue.add(key, rank);
    }
  }

  #onProblem({ code, message, isNew }: FollowProblem): void {
    const { logger, isRequired } = this.#options;
    if (code === "NotServed" || code === "Forbidden") this.isServed = false;
    if (!isNew) return;
    const fields = { kind: this.#pair.openReports, answer: message };
    if (code !== "NotServed") logger.warn(fields, "cannot publish OpenReports, will retry");
    else if (isRequired) logger.warn(fields, "cluster does not serve OpenReports, will retry");
    else logger.info(fields, "cluster does not serve OpenReports");
  }
}
