// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State of one report that is written again and again.

import type { RetryPolicy } from "../lib/pacing/retry-policy.ts";
import type { ReportReconciler } from "./report-reconciler.ts";

export interface WorkItem {
  reconciler: ReportReconciler;
  retry: RetryPolicy;
}

/** Failures in a row that are more than a short fault; they take some seconds. */
const FAILING_TRIES = 3;

/** The refusal of a report that is not about this report alone. */
export function getCommonRefusal({ reconciler: { refusal, isOwnRefusal } }: WorkItem): string | undefined {
  return isOwnRefusal ? undefined : refusal;
}

/** True while the report is refused, or its writes fail again and again; not for a refusal of this report alone. */
export function isFailing(item: WorkItem): boolean {
  if (item.reconciler.refusal === undefined) return item.retry.failures >= FAILING_TRIES;
  return getCommonRefusal(item) !== undefined;
}

/** Lists the refusals, each once. */
export function listRefusals(items: Iterable<WorkItem>): readonly string[] {
  const all = Array.from(items, ({ reconciler }) => reconciler.refusal);
  return [...new Set(all.filter((refusal) => refusal !== undefined))];
}
