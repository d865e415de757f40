// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Throttle notices by throttled pod or node, for reports that get their first alert of it later. Invariant: bounded;
// the subject with the oldest notice is evicted first.

import { podKey, type ThrottleNotice, type ViolationFacts } from "../../ingest/violation/violation.ts";
import { type CoverageGap, createCoverageGap, mergeCoverageGaps } from "../counts/coverage-gap.ts";
import type { Ledger } from "../ledger/ledger.ts";

interface Notices {
  count: number;
  coverageGaps: readonly CoverageGap[];
}

export class ThrottledSubjects {
  /** Subjects remembered. */
  static readonly MAX = 10_000;
  readonly #notices = new Map<string, Notices>();
  /** Subjects forgotten at the bound. */
  overflows = 0;

  get size(): number {
    return this.#notices.size;
  }

  /** Remembers a notice; returns the gap that it declares. */
  add({ namespace, pod, node, container, timeUs, intervalSeconds }: ThrottleNotice): readonly CoverageGap[] {
    // KubeArmor throttles for whole seconds from its notice on.
    const seconds = Number.isSafeInteger(intervalSeconds) && intervalSeconds > 0 ? intervalSeconds : 0;
    const toUs = timeUs + seconds * 1_000_000;
    const coverageGaps = [createCoverageGap("Throttled", timeUs, { toUs, container, pod, node })];
    const key = toSubjectKey(namespace, pod, node);
    const known = this.#notices.get(key);
    this.#notices.delete(key);
    this.#notices.set(key, {
      count: (known?.count ?? 0) + 1,
      coverageGaps: mergeCoverageGaps(known?.coverageGaps ?? [], coverageGaps),
    });
    const oldest = this.#notices.keys().next().value;
    if (this.#notices.size <= ThrottledSubjects.MAX || oldest === undefined) return coverageGaps;
    this.#notices.delete(oldest);
    this.overflows++;
    return coverageGaps;
  }

  /** Adds to the report the notices about the pod and the node of a violation that it has not seen before. */
  inherit(ledger: Ledger, { namespace, pod, node }: Pick<ViolationFacts, "namespace" | "pod" | "node">): void {
    if (this.#notices.size === 0) return;
    const subjects = pod === "" || namespace === undefined ? [pod] : [pod, ""];
    for (const subject of subjects) {
      if (ledger.subjects.concerns(subject, node)) continue;
      const notices = this.#notices.get(toSubjectKey(namespace, subject, node));
      if (notices) ledger.gaps.addMissing("throttleNotices", notices.count, notices.coverageGaps);
    }
  }
}

function toSubjectKey(namespace: string | undefined, pod: string, node: string): string {
  const subject = pod === "" ? `\u001f${node}` : podKey(namespace, pod, node);
  return `${namespace ?? ""}\u001f${subject}`;
}
