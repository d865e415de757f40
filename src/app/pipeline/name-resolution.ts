// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Connects the names that alerts bring with the reports that lack them.
// Invariant: a report is written again when a name that it lacks becomes known, and names are applied between writes.

import type { Ledger } from "../../aggregate/ledger/ledger.ts";
import type { LedgerMap } from "../../aggregate/ledger/ledger-map.ts";
import { hasResolvableEntries, resolveEntries, touchUnresolvedReports } from "../../aggregate/unresolved-entries.ts";
import type { IngestCounters } from "../../ingest/ingest-counters.ts";
import { SubjectNames } from "../../ingest/violation/subject-names.ts";
import { reportKey } from "../../ingest/violation/violation.ts";
import type { Steps } from "../../lib/pacing/steps.ts";
import type { ControllerObserver } from "../../reconcile/controller-observer.ts";

export interface NameResolutionParts {
  ledgers: LedgerMap;
  counters: IngestCounters;
  /** Schedules a report that has changed. */
  onDirty: (key: string, urgency: "counters") => void;
}

export class NameResolution implements ControllerObserver {
  readonly names: SubjectNames;
  readonly #parts: NameResolutionParts;

  constructor(parts: NameResolutionParts) {
    this.#parts = parts;
    const { counters, ledgers, onDirty } = parts;
    this.names = new SubjectNames((violation) => {
      counters.names = this.names.size;
      counters.namesEvicted = this.names.evictedTotal;
      for (const key of touchUnresolvedReports(ledgers, violation)) onDirty(key, "counters");
    });
  }

  *onTaking(ledger: Ledger): Steps {
    // Not in one statement: that would read the counter before the steps.
    const joined = yield* resolveEntries(ledger, this.names);
    this.#parts.counters.joined += joined;
  }

  onAdopted(ledger: Ledger): void {
    if (!hasResolvableEntries(ledger, this.names)) return;
    ledger.write.touch();
    this.#parts.onDirty(reportKey(ledger.namespace, ledger.policyName), "counters");
  }
}
