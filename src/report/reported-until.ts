// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Time until which the writer of a stored report has counted, read from the times in the report.
// Invariant: never too early. An alert that the writer has counted is not later than the time returned for it, so a
// reader that leaves out everything up to that time counts nothing twice.

import type { Report, Violation } from "../api/v1alpha1.ts";
import {
  identityKey,
  isUnnamedKey,
  isUnresolvedKey,
  namelessKey,
  podKey,
  reportKey,
  settledKey,
  settleIdentity,
  type ViolationFacts,
} from "../ingest/violation/violation.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";
import { parseIdentity } from "./parse.ts";

/** The report holds none of its alerts. */
const NEVER: EpochUs = 0;

interface ListedTimes {
  /** Newest time of all pods. */
  lastUs: EpochUs;
  /** Newest time of each listed pod; undefined where one time holds for all pods. */
  pods: ReadonlyMap<string, EpochUs> | undefined;
  /** Newest time of pods that are not listed. */
  otherPodsUs: EpochUs;
  /** Counted before the owner of its pod or the name of its container was known, or never named. */
  isUnresolved: boolean;
}

/** Times in one stored report. The report itself is kept until `listed` is read first. */
export class ReportedUntil {
  readonly occurrences: number;
  /** The newest time in the report. */
  readonly lastUs: EpochUs;
  readonly #isCut: boolean;
  readonly isNamespaced: boolean;
  readonly #maxPods: number;
  readonly #sinceUs: EpochUs;
  #report: Report | undefined;
  #byKey: ReadonlyMap<string, ListedTimes> | undefined;
  /** By nameless key; of a namespace's report. */
  readonly #byAction = new Map<string, ListedTimes[]>();

  /**
   * `maxPods` is the number of pods that the writer lists per violation. Violations that were not seen after `sinceUs`
   * are answered as if the report had none of them; default: all are answered.
   */
  constructor(report: Report, maxPods: number, sinceUs: EpochUs = NEVER) {
    this.#report = report;
    this.#maxPods = maxPods;
    this.#sinceUs = sinceUs;
    this.occurrences = report.summary?.occurrences ?? 0;
    this.lastUs = time(report.summary?.lastSeen);
    this.#isCut = report.omitted !== undefined;
    this.isNamespaced = report.metadata.namespace !== undefined;
  }

  /**
   * The time of the newest alert like `violation` that the report may have, before or after its writer knew the owner of
   * the pod and the name of the container; 0 when it has none for certain.
   */
  until({ key, pod, podKey }: Pick<ViolationFacts, "key" | "podKey" | "pod">): EpochUs {
    const listed = this.listed.get(settledKey(key));
    // A violation that is not listed was never counted, unless the list is cut.
    let untilUs = this.#isCut ? this.lastUs : NEVER;
    // Where the list is cut, alerts counted before the names were known may be in an unlisted violation.
    const mayBeUnresolved = this.#isCut && this.isNamespaced && pod !== "";
    if (listed !== undefined && !mayBeUnresolved) untilUs = getUntil(listed, pod, podKey);
    if (pod === "" || this.#byAction.size === 0) return untilUs;
    const isUnresolved = isUnresolvedKey(key) || isUnnamedKey(key);
    for (const other of this.#byAction.get(namelessKey(key)) ?? [])
      if (isUnresolved || other.isUnresolved) untilUs = Math.max(untilUs, getUntil(other, pod, podKey));
    return untilUs;
  }

  /**
   * As `until`, where this is the cluster report to which the counts of a namespace that is gone were moved, and
   * `violation` one of that namespace. 0 when the report does not list it.
   */
  untilMoved({ identity, namespace = "", pod, node }: ViolationFacts): EpochUs {
    const listed = this.listed.get(identityKey({ ...settleIdentity(identity), namespace }));
    return listed === undefined ? NEVER : getUntil(listed, pod, podKey(undefined, pod, node));
  }

  /** Times by violation. Drops the report. */
  get listed(): ReadonlyMap<string, ListedTimes> {
    this.#byKey ??= this.#read(this.#report?.violations ?? []);
    this.#report = undefined;
    return this.#byKey;
  }

  #read(violations: readonly Violation[]): ReadonlyMap<string, ListedTimes> {
    const byKey = new Map<string, ListedTimes>();
    for (const stored of violations) {
      // It was also counted before it entered the list, at times that only the summary bounds.
      const lastUs = stored.lowerBound ? this.lastUs : time(stored.lastSeen);
      if (lastUs < this.#sinceUs) continue;
      const key = identityKey(parseIdentity(stored));
      const times = { ...this.#readTimes(stored, lastUs), isUnresolved: isUnnamedKey(key) };
      byKey.set(key, times);
      if (!this.isNamespaced) continue;
      const action = namelessKey(key);
      const others = this.#byAction.get(action);
      if (others) others.push(times);
      else this.#byAction.set(action, [times]);
    }
    return byKey;
  }

  #readTimes(stored: Violation, lastUs: EpochUs): Omit<ListedTimes, "isUnresolved"> {
    const { pods = [] } = stored;
    if (stored.lowerBound || pods.length === 0) return { lastUs, pods: undefined, otherPodsUs: lastUs };
    const scope = this.isNamespaced ? "namespaced" : undefined;
    const times = new Map(pods.map(({ name, node = "", lastSeen }) => [podKey(scope, name, node), time(lastSeen)]));
    const occurrences = pods.reduce((sum, pod) => sum + pod.occurrences, 0);
    if (occurrences >= stored.occurrences) return { lastUs, pods: times, otherPodsUs: NEVER };
    // The least recent pods leave a full list, so none that left is later than those that stayed.
    const isFull = pods.length >= this.#maxPods;
    return { lastUs, pods: times, otherPodsUs: isFull ? Math.min(...times.values()) : lastUs };
  }
}

function getUntil({ lastUs, pods, otherPodsUs }: ListedTimes, pod: string, key: string): EpochUs {
  if (pod === "" || pods === undefined) return lastUs;
  return pods.get(key) ?? otherPodsUs;
}

/** Times in all reports at one moment. */
export class ReportedUntilIndex {
  readonly #maxPods: number;
  readonly #reports = new Map<string, ReportedUntil>();

  /** `maxPods` as for ReportedUntil. */
  constructor(maxPods: number) {
    this.#maxPods = maxPods;
  }

  /** Keeps the times of violations that were seen after `sinceUs`; not the report itself. */
  set(report: Report, sinceUs: EpochUs): void {
    const key = reportKey(report.metadata.namespace, report.policy.name);
    const times = new ReportedUntil(report, this.#maxPods, sinceUs);
    if (times.listed.size > 0 || times.lastUs >= sinceUs) this.#reports.set(key, times);
  }

  /** Forgets reports of namespaces in which nothing is as new as `us`. */
  forgetBefore(us: EpochUs): void {
    for (const [key, { isNamespaced, lastUs }] of this.#reports)
      if (isNamespaced && lastUs < us) this.#reports.delete(key);
  }

  clear(): void {
    this.#reports.clear();
  }

  /** ReportedUntil.until in the report of the violation's namespace and policy. */
  untilOwn(violation: ViolationFacts): EpochUs {
    return this.#reports.get(reportKey(violation.namespace, violation.policyName))?.until(violation) ?? 0;
  }

  /** ReportedUntil.until over all reports that may hold the alert. */
  until(violation: ViolationFacts): EpochUs {
    const { namespace, policyName } = violation;
    const own = this.untilOwn(violation);
    if (namespace === undefined) return own;
    return Math.max(own, this.#reports.get(reportKey(undefined, policyName))?.untilMoved(violation) ?? 0);
  }
}

function time(text: string | undefined): EpochUs {
  return (text === undefined ? undefined : parseMicroTime(text)) ?? NEVER;
}
