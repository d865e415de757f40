// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Parts of a report besides the alerts: the policy's object, and accepted violations. Remembers what each report states
// and queues a report when that has changed, or may have.

import type { Aggregator } from "../aggregate/aggregator.ts";
import type { Urgency } from "../aggregate/gaps/urgency.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { listWritten } from "../aggregate/unresolved-entries.ts";
import type { Policy, Report } from "../api/v1alpha1.ts";
import { reportKey } from "../ingest/violation/violation.ts";
import type { Steps } from "../lib/pacing/steps.ts";
import type { AcceptanceCatalog, Matched } from "../report/acceptance-set.ts";
import type { PolicyCatalog } from "../report/provenance.ts";
import { findLedgerProvenance } from "../report/render.ts";
import type { ControllerObserver } from "./controller-observer.ts";
import type { ReportQueue } from "./report-queue.ts";

export interface ReportContextParts {
  aggregator: Aggregator;
  queue: Pick<ReportQueue, "add">;
  /** Undefined where there is no cluster to ask. */
  policies: PolicyCatalog | undefined;
  acceptances: AcceptanceCatalog | undefined;
}

export class ReportContext implements ControllerObserver {
  readonly #parts: ReportContextParts;
  /** The policy's object as stated in the stored report of a ledger. */
  readonly #stated = new WeakMap<Ledger, string>();

  constructor(parts: ReportContextParts) {
    this.#parts = parts;
  }

  /** Records the facts of a stored report. Something may have changed since it was rendered. */
  onWritten(ledger: Ledger, report: Report): void {
    this.#stated.set(ledger, describePolicy(report.policy));
    this.#look(ledger);
  }

  /** Records the facts of a report that an earlier process, or another replica, wrote. */
  onAdopted(ledger: Ledger, report: Report): void {
    const { acceptances } = this.#parts;
    this.onWritten(ledger, report);
    const { namespace, policyName } = ledger;
    if (!acceptances || namespace === undefined) return;
    // The acceptances in effect when it was written are unknown.
    const concerns = report.summary.accepted !== undefined || acceptances.find(namespace, policyName) !== undefined;
    if (concerns || report.summary.open === undefined) this.#touch(ledger, "counters");
  }

  /** Queues the report of a policy after its acceptances changed. */
  onAcceptancesChanged(namespace: string, policy: string): void {
    const ledger = this.#parts.aggregator.ledgers.get(reportKey(namespace, policy));
    // A report that was never written takes the present facts with its first write.
    if (ledger && this.#stated.has(ledger)) this.#touch(ledger, "new_violation");
  }

  /** Counts what each acceptance of a policy matches in its report, in slices. */
  *matchAcceptances(namespace: string, policy: string): Steps<ReadonlyMap<string, Matched>> {
    const ledger = this.#parts.aggregator.ledgers.get(reportKey(namespace, policy));
    const acceptances = this.#parts.acceptances?.find(namespace, policy);
    if (!ledger || !acceptances) return new Map();
    const written = yield* listWritten(ledger.entries);
    return yield* acceptances.count(written, ({ stored }) => stored?.occurrences ?? 0);
  }

  /** Queues the reports of policies that changed; undefined: any policy. */
  onPoliciesChanged(names: ReadonlySet<string> | undefined): void {
    for (const ledger of this.#parts.aggregator.ledgers.values()) {
      if (names === undefined || names.has(ledger.policyName)) this.#look(ledger);
    }
  }

  #look(ledger: Ledger): void {
    const { policies } = this.#parts;
    const stated = this.#stated.get(ledger);
    // A report that was never written takes the present facts with its first write.
    if (stated === undefined || stated === describePolicy(findLedgerProvenance(ledger, policies))) return;
    this.#touch(ledger, "counters");
  }

  #touch(ledger: Ledger, urgency: Urgency): void {
    ledger.write.touch();
    this.#parts.queue.add(reportKey(ledger.namespace, ledger.policyName), urgency);
  }
}

/** Returns the same text for the same facts, in any order of their fields. */
function describePolicy(facts: Pick<Policy, "kind" | "provenance" | "objects" | "changedSinceLastSeen">): string {
  const { kind, provenance, objects = [], changedSinceLastSeen = false } = facts;
  const parts = objects.map(({ kind, namespace, uid, generation, changedAt, source }) => [
    kind,
    namespace,
    uid,
    generation,
    changedAt,
    source && [source.tool, source.kind, source.name, source.namespace],
  ]);
  return JSON.stringify([kind, provenance, parts, changedSinceLastSeen]);
}
