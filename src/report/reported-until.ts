// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// How far the writer of a stored report has counted, read from the times that the report shows.
// Invariant: never too early. An alert that the writer has counted is not later than what is answered for it, so that
// who leaves out everything up to there counts nothing twice.

import type { Report, Violation as StoredViolation } from "../api/v1alpha1.ts";
import { identityKey, podKey, reportKey, type Violation } from "../ingest/violation.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";
import { identityOf } from "./parse.ts";

/** Nothing of it is shown. */
const NEVER: EpochUs = 0;

/** What one stored report shows. */
export class ReportedUntil {
  /** Occurrences that the report tells in all. */
  readonly occurrences: number;
  /** The newest time in the report. */
  readonly lastUs: EpochUs;
  readonly #report: Report;
  readonly #maxPods: number;
  #byKey: Map<string, StoredViolation> | undefined;

  /** `maxPods` is how many pods of a violation the writer lists at most. */
  constructor(report: Report, maxPods: number) {
    this.#report = report;
    this.#maxPods = maxPods;
    this.occurrences = report.summary?.occurrences ?? 0;
    this.lastUs = time(report.summary?.lastSeen);
  }

  /** The time of the newest alert like `violation` that the report may tell; 0 when it tells none for certain. */
  until(violation: Pick<Violation, "key" | "podKey" | "pod">): EpochUs {
    const stored = this.#violation(violation.key);
    // What is not listed was never counted, unless the list is cut.
    if (stored === undefined) return this.#report.omitted === undefined ? NEVER : this.lastUs;
    // It was counted before it entered the list, at times that only the summary bounds.
    if (stored.lowerBound) return this.lastUs;
    return this.#untilOfPod(stored, violation, violation.podKey);
  }

  /**
   * As `until`, where this is the cluster report to which the counts of a namespace that is gone were moved, and
   * `violation` one of that namespace. 0 when the report does not list it.
   */
  untilMoved(violation: Violation): EpochUs {
    const { identity, namespace = "", pod, node } = violation;
    const stored = this.#violation(identityKey({ ...identity, namespace }));
    if (stored?.lowerBound) return this.lastUs;
    return stored === undefined ? NEVER : this.#untilOfPod(stored, violation, podKey(undefined, pod, node));
  }

  #violation(key: string): StoredViolation | undefined {
    this.#byKey ??= new Map(
      (this.#report.violations ?? []).map((stored) => [identityKey(identityOf(stored)), stored]),
    );
    return this.#byKey.get(key);
  }

  #untilOfPod(stored: StoredViolation, violation: { pod: string }, key: string): EpochUs {
    const { pods = [] } = stored;
    if (violation.pod === "" || pods.length === 0) return time(stored.lastSeen);
    const isNamespaced = this.#report.metadata.namespace !== undefined;
    const listed = pods.find(
      ({ name, node = "" }) => podKey(isNamespaced ? "namespaced" : undefined, name, node) === key,
    );
    if (listed) return time(listed.lastSeen);
    const occurrences = pods.reduce((sum, pod) => sum + pod.occurrences, 0);
    if (occurrences >= stored.occurrences) return NEVER;
    // Of a full list the least recent leave, so that whoever left is not later than those who stayed.
    if (pods.length < this.#maxPods) return time(stored.lastSeen);
    return Math.min(...pods.map((pod) => time(pod.lastSeen)));
  }
}

/** What all reports showed at one moment. */
export class ReportedUntilIndex {
  readonly #maxPods: number;
  readonly #reports = new Map<string, ReportedUntil>();

  /** `maxPods` as for ReportedUntil. */
  constructor(maxPods: number) {
    this.#maxPods = maxPods;
  }

  set(report: Report): void {
    const key = reportKey(report.metadata.namespace, report.policy.name);
    this.#reports.set(key, new ReportedUntil(report, this.#maxPods));
  }

  /** Forgets reports in which nothing is as new as `us`. */
  forgetBefore(us: EpochUs): void {
    for (const [key, shown] of this.#reports) if (shown.lastUs < us) this.#reports.delete(key);
  }

  /** As ReportedUntil.until, in the report of the violation's namespace and policy. */
  untilOwn(violation: Violation): EpochUs {
    return this.#reports.get(reportKey(violation.namespace, violation.policyName))?.until(violation) ?? 0;
  }

  /** As ReportedUntil.until, in whichever report the alert may be told. */
  until(violation: Violation): EpochUs {
    const { namespace, policyName } = violation;
    const own = this.untilOwn(violation);
    if (namespace === undefined) return own;
    return Math.max(own, this.#reports.get(reportKey(undefined, policyName))?.untilMoved(violation) ?? 0);
  }
}

function time(text: string | undefined): EpochUs {
  return (text === undefined ? undefined : parseMicroTime(text)) ?? NEVER;
}
