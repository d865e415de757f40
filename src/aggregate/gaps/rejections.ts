// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts that could not be counted, by the reports that they may belong to, until these are marked.
// Invariant: bounded, and a rejection never marks the report of another namespace: at the bound the reports are to be
// marked at once.

import type { Scope } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type CoverageGap, createCoverageGap, GapBuilder } from "../counts/coverage-gap.ts";
import type { Totals } from "../counts/totals.ts";

interface Rejected {
  /** Undefined: any report. */
  scope: Scope | undefined;
  count: number;
  /** Those of `count` without a known time. */
  undated: number;
  dated: GapBuilder;
}

/** Rejections that the reports of a scope get. */
export interface TakenRejections {
  scope: Scope | undefined;
  count: number;
  coverageGaps: readonly CoverageGap[];
}

/** The oldest and the newest time in any report. */
export function getSpan(reports: Iterable<{ readonly counts: { readonly all: Totals } }>): [EpochUs, EpochUs] {
  const all = [...reports].map(({ counts }) => counts.all);
  return [Math.min(...all.map(({ firstUs }) => firstUs)), Math.max(...all.map(({ lastUs }) => lastUs))];
}

/** Scopes that are counted separately. */
const MAX_SCOPES = 1000;

export class Rejections {
  readonly #byScope = new Map<string, Rejected>();
  /** Times that reports were marked at once to make room. */
  overflows = 0;

  get size(): number {
    return this.#byScope.size;
  }

  /** True where the reports are to be marked before another scope is added. */
  get isFull(): boolean {
    return this.#byScope.size >= MAX_SCOPES && this.#findTaken() === undefined;
  }

  /** Adds a rejection; evicts the scope without one since the last take that was used the longest ago. Not while full. */
  add(scope: Scope | undefined, us: EpochUs | undefined): void {
    const rejected = this.#getRejected(scope);
    rejected.count++;
    if (us === undefined) rejected.undated++;
    else rejected.dated.add(us);
  }

  /** Everything since the last call; the undated ones were raised somewhere between the two times of `span`. */
  take(span: () => readonly [EpochUs, EpochUs]): TakenRejections[] {
    const taken: TakenRejections[] = [];
    for (const rejected of this.#byScope.values()) {
      const { scope, count, undated, dated } = rejected;
      if (count === 0) continue;
      taken.push({ scope, count, coverageGaps: [...toUndatedGap(undated, span), ...dated.take()] });
      rejected.count = 0;
      rejected.undated = 0;
    }
    return taken;
  }

  #getRejected(scope: Scope | undefined): Rejected {
    const key = toKey(scope);
    let rejected = this.#byScope.get(key);
    // The scope that was used last is the last of the map.
    if (rejected) this.#byScope.delete(key);
    else if (this.#byScope.size >= MAX_SCOPES) this.#byScope.delete(this.#findTaken() ?? key);
    rejected ??= { scope, count: 0, undated: 0, dated: new GapBuilder("Rejected") };
    this.#byScope.set(key, rejected);
    return rejected;
  }

  /** Returns the least recently used scope of those with all rejections in their reports. */
  #findTaken(): string | undefined {
    return this.#byScope.entries().find(([, { count }]) => count === 0)?.[0];
  }
}

function toUndatedGap(count: number, span: () => readonly [EpochUs, EpochUs]): readonly CoverageGap[] {
  if (count === 0) return [];
  const [firstUs, lastUs] = span();
  // Without a report no count can be missing.
  return firstUs > lastUs ? [] : [createCoverageGap("Rejected", firstUs, { toUs: lastUs, count })];
}

/** "*" is not a namespace's name. */
function toKey(scope: Scope | undefined): string {
  return scope ? (scope.namespace ?? "") : "*";
}
