// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What reports tell besides the alerts: the policy's object. Knows what each report told last, and asks for a write
// where that is no longer so.
// Invariant: a report is written for this only when it would tell something else.

import type { Policy, PolicySource, Report } from "../api/v1alpha1.ts";
import type { Aggregator, Urgency } from "../core/aggregate.ts";
import type { Ledger } from "../core/ledger.ts";
import type { PolicyCatalog } from "../core/provenance.ts";
import { provenanceOfLedger } from "../core/report.ts";
import { reportKey } from "../core/violation.ts";

export interface ReportContextParts {
  aggregator: Aggregator;
  /** Asks for a write of a report. */
  note: (key: string, urgency: Urgency) => void;
  /** Undefined where there is no cluster to ask. */
  policies: PolicyCatalog | undefined;
}

export class ReportContext {
  readonly #parts: ReportContextParts;
  /** What the stored report of a ledger tells of its policy's object. */
  readonly #told = new WeakMap<Ledger, string>();

  constructor(parts: ReportContextParts) {
    this.#parts = parts;
  }

  /** A report was read or written: this is what it tells. */
  onStored(ledger: Ledger, report: Report): void {
    this.#told.set(ledger, wording(report.policy));
  }

  /** A stored report was taken for the base of a ledger. */
  onAdopted(ledger: Ledger, report: Report): void {
    this.onStored(ledger, report);
    this.#look(ledger);
  }

  /** Policies of these names may be other ones now; undefined: of any name. */
  policiesChanged(names: ReadonlySet<string> | undefined): void {
    for (const ledger of this.#parts.aggregator.ledgers.values()) {
      if (names === undefined || names.has(ledger.policyName)) this.#look(ledger);
    }
  }

  #look(ledger: Ledger): void {
    const { note, policies } = this.#parts;
    const told = this.#told.get(ledger);
    // What was never written will be, with what is true then.
    if (told === undefined || told === wording(provenanceOfLedger(ledger, policies))) return;
    ledger.touch();
    note(reportKey(ledger.namespace, ledger.policyName), "counters");
  }
}

/** The same text for the same facts, in whatever order the store gives their fields. */
function wording(facts: Pick<Policy, "kind" | "provenance" | "objects" | "changedSinceLastSeen">): string {
  const { kind, provenance, objects = [], changedSinceLastSeen = false } = facts;
  const told = objects.map(({ kind, namespace, uid, generation, changedAt, source }) => [
    kind,
    namespace,
    uid,
    generation,
    changedAt,
    source && sourceWording(source),
  ]);
  return JSON.stringify([kind, provenance, told, changedSinceLastSeen]);
}

function sourceWording({ tool, kind, name, namespace }: PolicySource): unknown {
  return [tool, kind, name, namespace];
}
