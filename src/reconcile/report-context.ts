// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What reports tell besides the alerts: the policy's object, and what is accepted. Knows what each report told last,
// and asks for a write where that is no longer so.
// Invariant: a report is written for this only when it would tell something else, or may.

import type { Aggregator, Urgency } from "../aggregate/aggregator.ts";
import type { Ledger } from "../aggregate/ledger.ts";
import type { Policy, PolicySource, Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation.ts";
import type { AcceptanceCatalog, Matched } from "../report/acceptance-set.ts";
import type { PolicyCatalog } from "../report/provenance.ts";
import { provenanceOfLedger } from "../report/render.ts";

export interface ReportContextParts {
  aggregator: Aggregator;
  /** Asks for a write of a report. */
  note: (key: string, urgency: Urgency) => void;
  /** Undefined where there is no cluster to ask. */
  policies: PolicyCatalog | undefined;
  acceptances: AcceptanceCatalog | undefined;
}

export class ReportContext {
  readonly #parts: ReportContextParts;
  /** What the stored report of a ledger tells of its policy's object. */
  readonly #told = new WeakMap<Ledger, string>();

  constructor(parts: ReportContextParts) {
    this.#parts = parts;
  }

  /** A report was written: this is what it tells. Something may have changed since it was rendered. */
  onPersisted(ledger: Ledger, report: Report): void {
    this.#told.set(ledger, wording(report.policy));
    this.#look(ledger);
  }

  /** A stored report was taken for the base of a ledger. */
  onAdopted(ledger: Ledger, report: Report): void {
    const { acceptances } = this.#parts;
    this.onPersisted(ledger, report);
    const { namespace, policyName } = ledger;
    if (!acceptances || namespace === undefined) return;
    // Which acceptances were in effect when it was written nobody knows.
    const concerns =
      report.summary.accepted !== undefined || acceptances.of(namespace, policyName) !== undefined;
    if (concerns || report.summary.open === undefined) this.#touch(ledger, "counters");
  }

  /** What is accepted of this policy in this namespace may be other than before: the report tells it soon. */
  acceptancesChanged(namespace: string, policy: string): void {
    const ledger = this.#parts.aggregator.ledgers.get(reportKey(namespace, policy));
    // What was never written will be, with what is true then.
    if (ledger && this.#told.has(ledger)) this.#touch(ledger, "new_violation");
  }

  /** Counts what each acceptance of a policy matches in its report, in slices. */
  *matched(namespace: string, policy: string): Generator<undefined, ReadonlyMap<string, Matched>, undefined> {
    const ledger = this.#parts.aggregator.ledgers.get(reportKey(namespace, policy));
    const acceptances = this.#parts.acceptances?.of(namespace, policy);
    if (!ledger || !acceptances) return new Map();
    return yield* acceptances.count(ledger.entries.values(), ({ committed }) => committed?.occurrences ?? 0);
  }

  /** Policies of these names may be other ones now; undefined: of any name. */
  policiesChanged(names: ReadonlySet<string> | undefined): void {
    for (const ledger of this.#parts.aggregator.ledgers.values()) {
      if (names === undefined || names.has(ledger.policyName)) this.#look(ledger);
    }
  }

  #look(ledger: Ledger): void {
    const { policies } = this.#parts;
    const told = this.#told.get(ledger);
    // What was never written will be, with what is true then.
    if (told === undefined || told === wording(provenanceOfLedger(ledger, policies))) return;
    this.#touch(ledger, "counters");
  }

  #touch(ledger: Ledger, urgency: Urgency): void {
    ledger.touch();
    this.#parts.note(reportKey(ledger.namespace, ledger.policyName), urgency);
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
