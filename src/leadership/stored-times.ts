// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Times that stored reports hold of the operator that wrote them, and the times of gaps.

import type { EarlyGap } from "../aggregate/gaps/early-gaps.ts";
import type { Gap } from "../aggregate/gaps/stream-coverage.ts";
import type { Report } from "../api/v1alpha1.ts";
import { MAX_DELIVERY_MS } from "../ingest/decode.ts";
import { parseMicroTime, toEpochUs } from "../lib/time.ts";

/** The same gap in microseconds. */
export function toGapUs({ kind, fromMs, toMs }: Gap): EarlyGap {
  return { kind, fromUs: toEpochUs(fromMs), toUs: toMs === undefined ? undefined : toEpochUs(toMs) };
}

/**
 * Returns the time at which the first alert was sent that arrived at `ms` or later: alerts that are lost since `ms` may
 * have been on their way. 0 where `ms` is not known.
 */
export function toSentMs(ms: number | undefined): number {
  return ms ? ms - MAX_DELIVERY_MS : 0;
}

/** The newest time in a report in milliseconds since the epoch; 0 where it has none. */
export function getLastSeenMs({ summary }: Report): number {
  return (parseMicroTime(summary.lastSeen) ?? 0) / 1000;
}

/** Times of all stored reports together, in milliseconds since the epoch. */
export class StoredTimes {
  count = 0;
  /** The newest sign of life of the operator that wrote them; 0 without a report. */
  lastSeenMs = 0;
  #newestStartMs = 0;
  #isStartKnown = true;

  add(report: Report): void {
    this.count++;
    this.lastSeenMs = Math.max(this.lastSeenMs, getLastSeenMs(report));
    const startUs = parseMicroTime(report.coverage.continuousSince ?? "");
    if (startUs === undefined) this.#isStartKnown = false;
    else this.#newestStartMs = Math.max(this.#newestStartMs, startUs / 1000);
  }

  /** Time since which all of them have been kept without a gap; undefined where one does not have it. */
  get newestStartMs(): number | undefined {
    return this.count > 0 && this.#isStartKnown ? this.#newestStartMs : undefined;
  }
}
