// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports that are not stored and of which a standby has evicted all alerts. Invariant: bounded; beyond the bound any
// report that begins later may be one of them.

import type { BufferUse } from "../../lib/collections/buffer-use.ts";

/** Evicted alerts of one report. */
export interface ForgottenReport {
  namespace: string | undefined;
  policyName: string;
  alerts: number;
}

const MAX_REPORTS = 10_000;

export class ForgottenReports implements BufferUse {
  readonly #byKey = new Map<string, ForgottenReport>();
  /** Reports that found no room. */
  overflows = 0;

  get size(): number {
    return this.#byKey.size;
  }

  add(key: string, report: ForgottenReport): void {
    if (this.#byKey.size < MAX_REPORTS) this.#byKey.set(key, report);
    else this.overflows++;
  }

  /** Returns the number of evicted alerts of a report that begins; at least 1 where it may have found no room. */
  take(key: string): number {
    const known = this.#byKey.get(key);
    this.#byKey.delete(key);
    return known?.alerts ?? Math.min(1, this.overflows);
  }

  /** Returns all of them; none is kept. */
  drain(): ForgottenReport[] {
    const all = [...this.#byKey.values()];
    this.#byKey.clear();
    return all;
  }
}
