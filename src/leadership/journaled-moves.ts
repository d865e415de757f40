// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Journaled counts of namespaces that are gone, as far as cluster reports hold them: a process that could not write its
// journal has moved them there, or another replica, which has read the same alerts.

import type { Report } from "../api/v1alpha1.ts";
import type { Journaling } from "../journal/journal-writer.ts";
import { MAX_MOVED, parseMoved } from "../reconcile/namespaces/moved-annotation.ts";

/** A cluster report. */
interface Target {
  /** Number of the last set of each namespace that it holds. */
  moved: ReadonlyMap<string, number>;
  /** True where it does not list all that it may hold. */
  isPartial: boolean;
  /** Namespaces of which it holds counts, as far as it lists them. */
  namespaces: ReadonlySet<string | undefined>;
  /** Another writer has written it last. */
  isOvertaken: boolean;
}

export class JournaledMoves {
  readonly #writerId: string;
  /** Policies with journaled counts of a namespace. */
  readonly #policies: ReadonlySet<string>;
  readonly #targets = new Map<string, Target>();

  constructor({ writerId, unclaimed }: Pick<Journaling, "writerId" | "unclaimed">) {
    this.#writerId = writerId;
    const reports = unclaimed.all.filter(({ namespace }) => namespace !== undefined);
    this.#policies = new Set(reports.map(({ policyName }) => policyName));
  }

  /** Adds a stored report; a second time takes a later state of it. */
  add({ metadata, policy, violations, omitted, expired }: Report, isOvertaken: boolean): void {
    if (metadata.namespace !== undefined || !this.#policies.has(policy.name)) return;
    this.#targets.set(policy.name, {
      moved: parseMoved(metadata, this.#writerId),
      isPartial: omitted !== undefined || expired !== undefined,
      namespaces: new Set(violations.map(({ namespace }) => namespace)),
      isOvertaken,
    });
  }

  /** Returns the number of the last set of the namespace that is in the cluster report for certain; 0 for none. */
  findSeq(namespace: string, policyName: string): number {
    return this.#targets.get(policyName)?.moved.get(namespace) ?? 0;
  }

  /** True where later sets of the namespace may be in the cluster report, too. */
  mayHold(namespace: string, policyName: string): boolean {
    const target = this.#targets.get(policyName);
    if (!target) return false;
    const { moved, isPartial, namespaces, isOvertaken } = target;
    const isForgotten = moved.size >= MAX_MOVED && !moved.has(namespace);
    return (isOvertaken || isForgotten) && (isPartial || namespaces.has(namespace));
  }
}
