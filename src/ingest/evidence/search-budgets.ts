// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Budgets of each workload for searching for secrets.
// Invariant: bounded in number and steps; a forgotten workload starts again with a full budget.

import type { Alert } from "../../api/alert.ts";
import type { EpochUs } from "../../lib/time.ts";
import { type SearchBudget, STEPS_PER_ALERT } from "./redact.ts";

/** Steps per workload: about 15 % of a processor. */
export const STEPS_PER_SECOND = 2_000_000;
const MAX_WORKLOADS = 4096;

interface Bucket {
  steps: number;
  filledUs: EpochUs;
}

export class SearchBudgets {
  readonly #stepsPerSecond: number;
  readonly #buckets = new Map<string, Bucket>();

  /** A workload may save the steps of one second. With infinity each alert has its full budget. */
  constructor(stepsPerSecond: number) {
    this.#stepsPerSecond = stepsPerSecond;
  }

  /** Calls `use` with an alert's budget, and deducts the used steps from its workload's budget. */
  spend<T>(alert: Alert, nowUs: EpochUs, use: (budget: SearchBudget) => T): T {
    if (this.#stepsPerSecond === Number.POSITIVE_INFINITY) return use({ steps: STEPS_PER_ALERT });
    const bucket = this.#getBucket(alert, nowUs);
    const steps = Math.min(STEPS_PER_ALERT, Math.max(0, bucket.steps));
    const budget = { steps };
    const result = use(budget);
    bucket.steps = Math.max(0, bucket.steps - steps + budget.steps);
    return result;
  }

  #getBucket(alert: Alert, nowUs: EpochUs): Bucket {
    const key = `${alert.NamespaceName}/${alert.OwnerName || alert.PodName || alert.HostName}`;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { steps: this.#stepsPerSecond, filledUs: nowUs };
      const [oldest] = this.#buckets.keys();
      if (this.#buckets.size >= MAX_WORKLOADS && oldest !== undefined) this.#buckets.delete(oldest);
      this.#buckets.set(key, bucket);
      return bucket;
    }
    const seconds = Math.max(0, nowUs - bucket.filledUs) / 1_000_000;
    bucket.filledUs = nowUs;
    bucket.steps = Math.min(this.#stepsPerSecond, bucket.steps + seconds * this.#stepsPerSecond);
    return bucket;
  }
}
