// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Copies every stored report to an OpenReports object, at its own pace, for both kinds of reports.
// Invariant: a copy is a function of the stored report; nothing is kept over a restart, and report writes never wait.

import { WorkLoop } from "../../lib/pacing/work-loop.ts";
import { WorkQueue } from "../../lib/pacing/work-queue.ts";
import { CopyController, type OpenReportPublisherOptions, RANKS } from "./copy-controller.ts";
import { REPORT_PAIRS } from "./openreport-store.ts";
import type { PublishResult } from "./publish-result.ts";

export interface OpenReportStats {
  /** True if the cluster serves both kinds and this process follows them. */
  isServed: boolean;
  results: Readonly<Record<PublishResult, number>>;
  /** Copies that are out of date. */
  pending: number;
  /** Reports beyond the bound, which have no copy; no more are counted than have one. */
  leftOut: number;
}

const NO_RESULTS: Readonly<Record<PublishResult, number>> = {
  written: 0,
  unchanged: 0,
  conflict: 0,
  too_large: 0,
  retry: 0,
  refused: 0,
};

/** Statistics while copies are switched off. */
export const NO_OPEN_REPORTS: OpenReportStats = { isServed: false, results: NO_RESULTS, pending: 0, leftOut: 0 };

/** Over both kinds: a write of 100 results costs the API server about 100 ms. */
const WRITES_PER_SECOND = 5;
const WRITE_BURST = 10;
const CONCURRENCY = 2;

export class OpenReportPublisher {
  readonly #results: Record<PublishResult, number> = { ...NO_RESULTS };
  readonly #controllers: readonly CopyController[];
  /** Keys of both kinds: those of cluster reports have no namespace. */
  readonly #queue: WorkQueue;
  readonly #loop: WorkLoop;

  constructor(options: OpenReportPublisherOptions) {
    const { clock } = options;
    const count = (result: PublishResult) => this.#results[result]++;
    this.#queue = new WorkQueue({ clock, ranks: RANKS, flow: (key) => key.slice(0, key.indexOf("/")) });
    this.#controllers = REPORT_PAIRS.map((pair) => new CopyController(pair, options, this.#queue, count));
    this.#loop = new WorkLoop({
      queue: this.#queue,
      clock,
      perSecond: WRITES_PER_SECOND,
      burst: WRITE_BURST,
      concurrency: CONCURRENCY,
      process: async (key) => this.#controllers.find((each) => each.has(key))?.publish(key),
    });
  }

  /** Publishes until the signal aborts; run it once at a time. Never rejects but for a bug. */
  async run(signal: AbortSignal): Promise<void> {
    this.#loop.start();
    await Promise.all(this.#controllers.map((each) => each.run(signal)));
    await this.#loop.stop();
  }

  stats(): OpenReportStats {
    return {
      isServed: this.#controllers.every(({ isServed }) => isServed),
      results: this.#results,
      pending: this.#queue.length,
      leftOut: this.#controllers.reduce((sum, { leftOut }) => sum + leftOut, 0),
    };
  }
}
