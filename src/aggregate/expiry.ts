// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations beyond retention. Only what is persisted leaves: of what is not yet written nothing is lost.

import type { Expired } from "../api/v1alpha1.ts";
import type { EpochUs } from "../lib/time.ts";
import type { EntryMap } from "./entry-map.ts";

/**
 * Removes from `entries` what was last seen before `beforeUs`, except what this process wrote in sweep `keptSweep` or
 * later; returns the counts of what was removed.
 */
export function expireEntries(entries: EntryMap, beforeUs: EpochUs, keptSweep: number): Expired {
  let violations = 0;
  let occurrences = 0;
  for (const entry of entries.values()) {
    const { stored, inFlight, pending } = entry;
    if (!stored || inFlight || pending) continue;
    if (stored.writtenInSweep >= keptSweep || stored.lastUs >= beforeUs) continue;
    violations++;
    occurrences += stored.occurrences;
    entries.delete(entry.key);
  }
  return { violations, occurrences };
}
