// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Bounds the metrics that name namespaces and policies: a limited number of reports have series of their own, and the
// others share one bucket.
// Invariant: a report that has its own series keeps it while it exists, one in the bucket stays there, and the bucket's
// counts never fall, so that no counter jumps.

import type { Counts, ReportCounts, ReportRow } from "./metrics-source.ts";

/** In place of a namespace, a policy and a severity: no namespace may be called this. */
export const OTHER = "_other";
/** In place of a namespace, for the reports of the whole cluster. */
export const CLUSTER = "_cluster";

export class ReportSeries {
  readonly #max: number;
  readonly #own = new Set<string>();
  readonly #others = new Map<string, Counts>();
  /** Counts of reports that left the bucket because they are gone. */
  readonly #departed: Record<string, number> = {};

  /** `max`: reports with series of their own, the first to come. */
  constructor(max: number) {
    this.#max = max;
  }

  /** Reports in the bucket. */
  get others(): number {
    return this.#others.size;
  }

  /** Returns a row for each report that has its own series, and after them the bucket's, if there ever was one. */
  selectRows(reports: Iterable<ReportCounts>): ReportRow[] {
    const byKey = new Map<string, ReportCounts>();
    for (const report of reports) byKey.set(`${report.namespace ?? CLUSTER}\u001f${report.policy}`, report);
    this.#forget(byKey);
    const rows: ReportRow[] = [];
    let lastSeenMs = 0;
    for (const [key, report] of byKey) {
      if (this.#hasOwn(key)) rows.push(toRow(report));
      else {
        this.#others.set(key, report.outcomes);
        lastSeenMs = Math.max(lastSeenMs, report.lastSeenMs);
      }
    }
    const bucket = [...this.#others.values()].reduce<Record<string, number>>(add, { ...this.#departed });
    if (Object.keys(bucket).length > 0) {
      const labels = { resource_namespace: OTHER, policy: OTHER, severity: OTHER };
      rows.push({ labels, outcomes: bucket, lastSeenMs });
    }
    return rows;
  }

  #hasOwn(key: string): boolean {
    if (this.#own.has(key)) return true;
    if (this.#own.size >= this.#max || this.#others.has(key)) return false;
    this.#own.add(key);
    return true;
  }

  /** Reports that are gone make room for new ones. */
  #forget(present: ReadonlyMap<string, unknown>): void {
    for (const key of this.#own) if (!present.has(key)) this.#own.delete(key);
    for (const [key, outcomes] of this.#others) {
      if (present.has(key)) continue;
      add(this.#departed, outcomes);
      this.#others.delete(key);
    }
  }
}

function toRow({ namespace, policy, severity, outcomes, lastSeenMs }: ReportCounts): ReportRow {
  return { labels: { resource_namespace: namespace ?? CLUSTER, policy, severity }, outcomes, lastSeenMs };
}

function add(sum: Record<string, number>, counts: Counts): Record<string, number> {
  for (const [outcome, count] of Object.entries(counts)) sum[outcome] = (sum[outcome] ?? 0) + count;
  return sum;
}
