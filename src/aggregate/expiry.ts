// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Which violations are too old to be kept.
// Invariant: only what stands in the stored report leaves: of what is not yet written nothing is lost.

import type { Expired } from "../api/v1alpha1.ts";
import type { EpochUs } from "../lib/time.ts";
import type { Entry } from "./entry.ts";

/** Takes those that were last seen before `beforeUs` out of `entries`; returns what they had counted. */
export function expireEntries(entries: Map<string, Entry>, beforeUs: EpochUs): Expired {
  let violations = 0;
  let occurrences = 0;
  for (const { key, committed, inFlight, pending } of entries.values()) {
    if (!committed || inFlight || pending || committed.lastUs >= beforeUs) continue;
    entries.delete(key);
    violations++;
    occurrences += committed.occurrences;
  }
  return { violations, occurrences };
}
