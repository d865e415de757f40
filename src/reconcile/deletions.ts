// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Deletions of reports that were noticed while nothing was pending; the next report of the policy declares them.

import { type CoverageGap, isDeletion } from "../aggregate/counts/coverage-gap.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";

/** Reports remembered; the one deleted first is forgotten first. */
const MAX_DELETIONS = 1000;

export class Deletions {
  readonly #gaps = new Map<string, readonly CoverageGap[]>();
  /** Reports forgotten at the bound. */
  overflows = 0;

  get size(): number {
    return this.#gaps.size;
  }

  /** Remembers the deletion of a report before its ledger is dropped; does nothing if there was none. */
  add(key: string, ledger: Ledger): void {
    const gaps = ledger.counts.all.coverageGaps.filter(isDeletion);
    if (gaps.length === 0) return;
    this.#gaps.set(key, gaps);
    if (this.#gaps.size <= MAX_DELETIONS) return;
    this.#gaps.delete(this.#gaps.keys().next().value as string);
    this.overflows++;
  }

  /** Hands the deletion over to the next ledger of the report. */
  restore(key: string, ledger: Ledger): void {
    const gaps = this.#gaps.get(key);
    if (!gaps) return;
    this.#gaps.delete(key);
    // No notices: only the list grows.
    ledger.gaps.addMissing("throttleNotices", 0, gaps);
  }
}
