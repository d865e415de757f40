// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Follows the reports in the Kubernetes API: lists them, then watches from the version of the list, for ever.
// Invariant: whatever goes wrong is tried again, from a new list where the server no longer knows the version.

import { CLUSTER_REPORT_KIND, CLUSTER_REPORT_PLURAL, REPORT_KIND, REPORT_PLURAL } from "../api/names.ts";
import type { Report } from "../api/v1alpha1.ts";
import { ApiError, classifyAnswer } from "../kube/api-error.ts";
import type { ApiRequester, ApiStreamer } from "../kube/client.ts";
import { type Clock, fullJitter } from "../lib/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { asReport, BASE, pages, SELECTOR } from "./cluster.ts";
import type { ReportObserver, ReportWatch } from "./sink.ts";

export interface ReportWatchOptions {
  client: ApiRequester & ApiStreamer;
  clock: Clock;
  logger: Logger;
  /** Reports per page of a list; default 500. */
  pageSize?: number;
}

/** As client-go: the server ends a watch after 5 to 10 minutes, so that all do not come back at once. */
const MIN_WATCH_SECONDS = 300;
/** The server sends a bookmark about every minute and ends the watch in time: one that does neither is dead. */
const IDLE_MS = 11 * 60_000;
const RETRY_BASE_MS = 500;
const RETRY_MAX_MS = 15_000;
const NOT_YET = "the reports are not listed yet";

/** Returns a watch over both kinds of reports. Run it once at a time. */
export function createReportWatch(options: ReportWatchOptions): ReportWatch {
  const followed = [
    new FollowedKind(options, REPORT_PLURAL, REPORT_KIND),
    new FollowedKind(options, CLUSTER_REPORT_PLURAL, CLUSTER_REPORT_KIND),
  ];
  return {
    async run(observer, signal) {
      await Promise.all(followed.map((kind) => kind.run(observer, signal)));
    },
    get problem() {
      return followed.map((kind) => kind.problem).find((problem) => problem !== undefined);
    },
  };
}

class FollowedKind {
  problem: string | undefined = NOT_YET;
  readonly #options: ReportWatchOptions;
  readonly #plural: string;
  readonly #kind: Report["kind"];
  /** From which the watch goes on; undefined asks for a list. */
  #version: string | undefined;
  #isTold = false;

  constructor(options: ReportWatchOptions, plural: string, kind: Report["kind"]) {
    this.#options = options;
    this.#plural = plural;
    this.#kind = kind;
  }

  async run(observer: ReportObserver, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    for (let failures = 0; !signal.aborted; ) {
      // Also after a watch that ended as it should: a proxy that ends each at once must not make this a busy loop.
      let afterMs = RETRY_BASE_MS;
      try {
        if (this.#version === undefined) await this.#list(observer, signal);
        await this.#watch(observer, signal);
        failures = 0;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (signal.aborted) break;
        afterMs = RETRY_BASE_MS + fullJitter(failures, RETRY_BASE_MS, RETRY_MAX_MS, clock.random());
        afterMs = Math.max(afterMs, error.retryAfterMs ?? 0);
        failures++;
        this.#failed(error);
      }
      await clock.sleep(afterMs, signal);
    }
    this.problem = NOT_YET;
    this.#version = undefined;
  }

  async #list(observer: ReportObserver, signal: AbortSignal): Promise<void> {
    const { client, pageSize = 500 } = this.#options;
    let version: string | undefined;
    const found = pages(client, this.#plural, pageSize, signal, (v) => {
      version ??= v;
    });
    for await (const item of found) {
      if (signal.aborted) return;
      this.#tell(item, (report) => observer.onStored(report, "listed"));
    }
    this.#version = version;
    observer.onListed(this.#kind);
  }

  async #watch(observer: ReportObserver, signal: AbortSignal): Promise<void> {
    const { client, clock } = this.#options;
    const events = client.stream({
      path: `${BASE}/${this.#plural}`,
      query: {
        labelSelector: SELECTOR,
        watch: true,
        allowWatchBookmarks: true,
        resourceVersion: this.#version,
        timeoutSeconds: Math.floor(MIN_WATCH_SECONDS * (1 + clock.random())),
      },
      idleMs: IDLE_MS,
      signal,
      onOpen: () => this.#opened(),
    });
    for await (const event of events) {
      if (signal.aborted) return;
      this.#take(event, observer);
    }
  }

  #take(event: unknown, observer: ReportObserver): void {
    const { type, object } = isObject(event) ? event : {};
    if (type === "ERROR") throw this.#errorOf(object);
    if (type === "ADDED" || type === "MODIFIED") {
      this.#tell(object, (report) => observer.onStored(report, "changed"));
    }
    if (type === "DELETED") this.#tell(object, (report) => observer.onRemoved(report));
    const metadata = isObject(object) && isObject(object["metadata"]) ? object["metadata"] : {};
    if (typeof metadata["resourceVersion"] === "string") this.#version = metadata["resourceVersion"];
  }

  #tell(item: unknown, tell: (report: Report) => void): void {
    const report = asReport(item, this.#kind);
    // Of another form is what nobody writes: the one who lists it to write says so.
    if (report !== undefined) tell(report);
  }

  #errorOf(status: unknown): ApiError {
    const code = isObject(status) && typeof status["code"] === "number" ? status["code"] : 500;
    const call = { method: "WATCH", server: "", path: `${BASE}/${this.#plural}` };
    const answer = { status: code, body: JSON.stringify(status ?? {}), nowMs: this.#options.clock.nowMs() };
    return classifyAnswer(call, answer);
  }

  #opened(): void {
    if (this.#isTold)
      this.#options.logger.info({ reports: this.#plural }, "the reports can be followed again");
    this.#isTold = false;
    this.problem = undefined;
  }

  #failed(error: ApiError): void {
    if (error.code === "Expired") {
      this.#version = undefined;
      return;
    }
    this.problem = error.message;
    if (this.#isTold) return;
    this.#isTold = true;
    this.#options.logger.warn(
      { reports: this.#plural, answer: error.message },
      "the reports can't be followed: will try again",
    );
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
