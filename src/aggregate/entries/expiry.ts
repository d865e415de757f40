// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Violations beyond retention. Only persisted counts leave; unwritten ones are never lost.

import type { Expired } from "../../api/v1alpha1.ts";
import { type Steps, visitInSteps } from "../../lib/pacing/steps.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { Entry } from "./entry.ts";
import type { EntryMap } from "./entry-map.ts";

/** Bounds: violations seen at `beforeUs` or later, or written by this process in `keptSweep` or later, stay. */
export interface Expiry {
  beforeUs: EpochUs;
  keptSweep: number;
}

/**
 * Entries visited in one step. Removing one allocates 3 kB: the more a step allocates, the longer V8 collects garbage in
 * it.
 */
const VISITS = 64;

/**
 * Removes from `entries` what is not kept, but for what has counts in flight or pending. Calls `onGone` with the counts
 * of each that was removed.
 */
export function* expireEntries(
  entries: EntryMap,
  { beforeUs, keptSweep }: Expiry,
  isPending: (entry: Entry) => boolean,
  onGone: (gone: Expired) => void,
): Steps {
  yield* visitInSteps(
    entries.values(),
    (entry) => {
      const { stored, inFlight } = entry;
      if (!stored || inFlight) return;
      if (stored.writtenInSweep >= keptSweep || stored.lastUs >= beforeUs || isPending(entry)) return;
      entries.delete(entry.key);
      onGone({ violations: 1, occurrences: stored.occurrences });
    },
    VISITS,
  );
}
