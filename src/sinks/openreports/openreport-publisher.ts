// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Copies every stored report to an OpenReports object, at its own pace, for both kinds of reports.
// Invariant: a copy is a function of the stored report; nothing is kept over a restart, and report writes never wait.

import { TokenBucket } from "../../lib/pacing/token-bucket.ts";
import { KindPublisher, type OpenReportPublisherOptions } from "./kind-publisher.ts";
import { REPORT_PAIRS } from "./openreport-store.ts";
import type { PublishResult } from "./publish-result.ts";

/** For metrics. */
export interface OpenReportStats {
  /** True if the cluster serves both kinds and this process follows them. */
  isServed: boolean;
  results: Readonly<Record<PublishResult, number>>;
  /** Copies that are out of date. */
  pending: number;
  /** Reports beyond the bound, which have no copy. */
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

export class OpenReportPublisher {
  readonly #results: Record<PublishResult, number> = { ...NO_RESULTS };
  readonly #kinds: readonly KindPublisher[];

  constructor(options: OpenReportPublisherOptions) {
    const bucket = new TokenBucket(WRITES_PER_SECOND, WRITE_BURST);
    const count = (result: PublishResult) => this.#results[result]++;
    this.#kinds = REPORT_PAIRS.map((pair) => new KindPublisher(pair, options, bucket, count));
  }

  /** Publishes until the signal aborts; run it once at a time. Never rejects but for a bug. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#kinds.map((kind) => kind.run(signal)));
  }

  stats(): OpenReportStats {
    return {
      isServed: this.#kinds.every(({ isServed }) => isServed),
      results: this.#results,
      pending: this.#kinds.reduce((sum, { pending }) => sum + pending, 0),
      leftOut: this.#kinds.reduce((sum, { leftOut }) => sum + leftOut, 0),
    };
  }
}
