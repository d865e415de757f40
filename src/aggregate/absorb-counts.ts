// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Counts of one report that another process has drained, added to a ledger.
// Invariant: every occurrence is added; those of violations beyond the memory bound only to the totals.

import { identityKey, type PolicyFacts, podKey, settleIdentity } from "../ingest/violation/violation.ts";
import { type CoverageGap, createCoverageGap, mergeCoverageGaps } from "./counts/coverage-gap.ts";
import { Pods } from "./counts/pods.ts";
import { emptyTotals, type Totals } from "./counts/totals.ts";
import type { Counted } from "./entries/counted.ts";
import type { ThrottledSubjects } from "./gaps/throttled-subjects.ts";
import type { Ledger } from "./ledger/ledger.ts";
import type { MemoryBudget } from "./memory-budget.ts";

const MINUTE_US = 60_000_000;

export interface DrainedCounts {
  namespace: string | undefined;
  policyName: string;
  policy: PolicyFacts;
  totals: Totals;
  entries: readonly Counted[];
}

export interface AbsorbingParts {
  memory: MemoryBudget;
  /** Throttle notices, which a report inherits with its first alert of their pod. */
  throttled: ThrottledSubjects;
}

/** Adds the counts; returns true for `isNew` where a violation is new, and the occurrences without one. */
export function absorbCounts(
  ledger: Ledger,
  { policy, totals, entries }: DrainedCounts,
  { memory, throttled }: AbsorbingParts,
): { isNew: boolean; withoutDetails: number } {
  const kept: Counted[] = [];
  let isNew = false;
  let withoutDetails = 0;
  for (const counted of entries) {
    const { key, identity, tally } = counted;
    const isKnown = ledger.entries.has(key);
    if (!isKnown && !memory.tryReserve(ledger, identity, tally.lastUs)) {
      withoutDetails += tally.occurrences;
      continue;
    }
    isNew ||= !isKnown;
    inheritNotices(ledger, counted, throttled);
    kept.push(counted);
  }
  ledger.policy.recover(policy, totals.lastUs);
  ledger.transfer.absorb(addWithoutDetails(totals, withoutDetails), kept);
  return { isNew, withoutDetails };
}

/** Adds a gap; `isNew` is false for one that was counted before. */
export function addGap(ledger: Ledger, gap: CoverageGap, isNew: boolean): void {
  ledger.transfer.absorb({ ...emptyTotals(), gaps: isNew ? 1 : 0, coverageGaps: [gap] }, []);
}

/** Gaps for lack of memory within one minute are listed as one. */
function addWithoutDetails(totals: Totals, count: number): Totals {
  if (count === 0) return totals;
  const fromUs = Math.floor(totals.lastUs / MINUTE_US) * MINUTE_US;
  const gap = createCoverageGap("MemoryLimit", fromUs, { toUs: totals.lastUs });
  return {
    ...totals,
    withoutDetails: totals.withoutDetails + count,
    coverageGaps: mergeCoverageGaps(totals.coverageGaps, [gap]),
  };
}

function inheritNotices(ledger: Ledger, { identity, tally }: Counted, throttled: ThrottledSubjects): void {
  const { namespace } = ledger;
  if (tally.pods.size === 0) throttled.inherit(ledger, { namespace, pod: "", node: identity.workload.name });
  for (const { name: pod, node } of tally.pods.values()) throttled.inherit(ledger, { namespace, pod, node });
}

/** Counts of a violation of a namespace, as the cluster report has them. */
export function moveNamespace({ identity: own, tally }: Counted, namespace: string): Counted {
  const identity = { ...settleIdentity(own), namespace };
  const pods = new Pods();
  for (const pod of tally.pods.values()) pods.set(podKey(undefined, pod.name, pod.node), pod);
  return { key: identityKey(identity), identity, tally: { ...tally, pods } };
}
