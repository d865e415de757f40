// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations beyond retention. Only what is persisted leaves: of what is not yet written nothing is lost.

import type { Expired } from "../api/v1alpha1.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Entry } from "./entry.ts";
import type { KnownPolicy } from "./totals.ts";

/**
 * Removes from `entries` what was last seen before `beforeUs`, except what this process wrote in sweep `keptSweep` or
 * later; returns the counts of what was removed.
 */
export function expireEntries(
  entries: Map<string, Entry>,
  beforeUs: EpochUs,
  keptSweep: number,
  policy: KnownPolicy,
): Expired {
  let violations = 0;
  let occurrences = 0;
  for (const { key, committed, inFlight, pending, writtenInSweep } of entries.values()) {
    if (writtenInSweep >= keptSweep || !committed || inFlight || pending || committed.lastUs >= beforeUs)
      continue;
    entries.delete(key);
    violations++;
    occurrences += committed.occurrences;
    policy.raiseSeverity(committed.rule.severity);
  }
  return { violations, occurrences };
}
