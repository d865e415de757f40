// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Holds when the copy of each report is due.
// Invariant: two attempts on one report are at least `minIntervalMs` apart, unless a retry or the API's return asks for less.

import type { RetryPolicy } from "../../lib/pacing/retry-policy.ts";

/** A report and the state of its copy. */
export interface CopyState {
  namespace: string | undefined;
  /** Name of the report. */
  name: string;
  /** Of the report, as watched. */
  reportVersion: string | undefined;
  /** Version of the copy as this process wrote it; another version in a watch is a change from outside. */
  writtenVersion: string | undefined;
  /** Results that the API server accepts; undefined while the limits fit. */
  mostThatFit: number | undefined;
  /** Start of the last attempt; undefined before the first one. Milliseconds, monotonic. */
  triedMs: number | undefined;
  /** Time of the next attempt; undefined while none is needed. Milliseconds, monotonic. */
  dueMs: number | undefined;
  /** Of the failures since the last success; undefined without one. */
  retry: RetryPolicy | undefined;
}

export class OpenReportQueue {
  readonly #minIntervalMs: number;
  readonly #maxReports: number;
  readonly #states = new Map<string, CopyState>();
  /** Reports beyond the bound, which have no copy. Counted again by each list. */
  leftOut = 0;

  constructor(minIntervalMs: number, maxReports: number) {
    this.#minIntervalMs = minIntervalMs;
    this.#maxReports = maxReports;
  }

  /** Copies that are due now or later. */
  get pending(): number {
    let pending = 0;
    for (const { dueMs } of this.#states.values()) if (dueMs !== undefined) pending++;
    return pending;
  }

  get keys(): Iterable<string> {
    return this.#states.keys();
  }

  get(key: string): CopyState | undefined {
    return this.#states.get(key);
  }

  /** Returns the state of a report, a new one where there is none; undefined at the bound. */
  ensure(key: string, namespace: string | undefined, name: string): CopyState | undefined {
    const known = this.#states.get(key);
    if (known) return known;
    if (this.#states.size >= this.#maxReports) {
      this.leftOut++;
      return undefined;
    }
    const state: CopyState = {
      namespace,
      name,
      reportVersion: undefined,
      writtenVersion: undefined,
      mostThatFit: undefined,
      triedMs: undefined,
      dueMs: undefined,
      retry: undefined,
    };
    this.#states.set(key, state);
    return state;
  }

  delete(key: string): void {
    this.#states.delete(key);
  }

  clear(): void {
    this.#states.clear();
    this.leftOut = 0;
  }

  /**
   * Marks a copy as out of date: due at once before the first attempt, else `minIntervalMs` after the last one. A copy
   * that is missing goes before those that are only to be checked after a start.
   */
  mark(state: CopyState, nowMs: number, isMissing: boolean): void {
    if (state.triedMs !== undefined) state.dueMs ??= Math.max(nowMs, state.triedMs + this.#minIntervalMs);
    else state.dueMs = isMissing ? Number.NEGATIVE_INFINITY : nowMs;
  }

  /** Makes every copy that waits due now. */
  hasten(nowMs: number): void {
    for (const state of this.#states.values()) {
      if (state.dueMs !== undefined && state.dueMs > nowMs) state.dueMs = nowMs;
    }
  }

  /** Returns the copy that is due first. Time is linear in the number of reports. */
  next(): { key: string; state: CopyState; dueMs: number } | undefined {
    let first: { key: string; state: CopyState; dueMs: number } | undefined;
    for (const [key, state] of this.#states) {
      if (state.dueMs === undefined || (first && state.dueMs >= first.dueMs)) continue;
      first = { key, state, dueMs: state.dueMs };
    }
    return first;
  }
}
