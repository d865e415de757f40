// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Facts on a policy from the alerts of its report. Invariant: the result does not depend on the order of alerts and merges.

import type { PolicyKind } from "../../api/v1alpha1.ts";
import type { PolicyFacts } from "../../ingest/violation/violation.ts";
import type { EpochUs } from "../../lib/time.ts";

/** The newest value and its time; undefined before the first one. */
class NewestValue<T> {
  value: T | undefined;
  us: EpochUs = 0;

  /** Between two of the same microsecond the one that sorts last stays, in any order of arrival. */
  learn(value: T, us: EpochUs): void {
    if (us < this.us) return;
    if (us === this.us && this.value !== undefined && String(value) <= String(this.value)) return;
    this.value = value;
    this.us = us;
  }
}

/**
 * A policy as its alerts report it: the newest kind, tags and message. An alert without one of them (a preset's, a
 * posture's) removes nothing.
 */
export class KnownPolicy {
  /** The highest severity of violations that are no longer known one by one; 0 for none. */
  severityFloor = 0;
  /** The severity of the report that was rendered or read last; undefined before the first. */
  renderedSeverity: number | undefined;
  /** Latest time at which one of those violations was seen. */
  #floorUs: EpochUs = 0;
  /** At the last take; undefined before the first. */
  #taken: PolicyFacts | undefined;
  readonly #kind = new NewestValue<PolicyKind>();
  readonly #tags = new NewestValue<readonly string[]>();
  readonly #message = new NewestValue<string>();

  learn(facts: PolicyFacts, us: EpochUs): void {
    if (facts.kind !== "Unknown") this.#kind.learn(facts.kind, us);
    if (facts.tags.length > 0) this.#tags.learn(facts.tags, us);
    if (facts.message !== "") this.#message.learn(facts.message, us);
  }

  /** Continues with the facts of an earlier process. */
  recover(facts: PolicyFacts, us: EpochUs): void {
    this.learn(facts, us);
    this.raiseSeverity(facts.severity, us);
  }

  /** Keeps the severity of a violation that was last seen at `us` and is not held any more. */
  raiseSeverity(severity: number, us: EpochUs): void {
    if (severity === 0) return;
    this.severityFloor = Math.max(this.severityFloor, severity);
    this.#floorUs = Math.max(this.#floorUs, us);
  }

  /** Forgets that severity where all of those violations were last seen before `beforeUs`. */
  expireSeverity(beforeUs: EpochUs): void {
    if (this.#floorUs < beforeUs) this.severityFloor = 0;
  }

  /** Keeps the facts as they are now for the next report, which holds the alerts until now. */
  take(): void {
    this.#taken = this.facts();
  }

  /** Facts for a report written now: as of the moment at which its counts were taken. */
  get written(): PolicyFacts {
    return this.#taken ?? this.facts();
  }

  /** Returns the facts, with the floor as severity: that of the policy also depends on its violations. */
  facts(): PolicyFacts {
    return {
      kind: this.#kind.value ?? "Unknown",
      severity: this.severityFloor,
      tags: this.#tags.value ?? [],
      message: this.#message.value ?? "",
    };
  }
}
