// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Handles every alert: one of a known kind is counted in its cell, any other is decoded and added. Counts the outcomes.
// Invariant: never waits and never throws, so the stream is never delayed.

import type { Alert, RawAlert } from "../api/alert.ts";
import { type EpochUs, hasMicroseconds, secondsToUs, TimeReader } from "../lib/time.ts";
import type { TallySelector } from "./alert-tally.ts";
import type { AlertHash } from "./cells/alert-hash.ts";
import type { CellStore } from "./cells/cell-store.ts";
import { countedTimeUs, decode, ownTimeUs } from "./decode.ts";
import type { DuplicateFilter } from "./duplicates.ts";
import { AlertEvidence } from "./evidence/evidence.ts";
import type { Redact } from "./evidence/redact.ts";
import { SearchBudgets, STEPS_PER_SECOND } from "./evidence/search-budgets.ts";
import type { IngestCounters, Rejection, ReportRejection } from "./ingest-counters.ts";
import type { Occurrence } from "./occurrence.ts";
import type { SubjectNames } from "./violation/subject-names.ts";
import type { Scope, ThrottleNotice } from "./violation/violation.ts";

export interface IngestParts {
  /** Selects the tally of a counted alert or notice. */
  selector: TallySelector;
  /** Returns why a namespace, or the cluster, can have no new report. */
  findRefusal: (namespace: string | undefined) => ReportRejection | undefined;
  hash: AlertHash;
  duplicates: DuplicateFilter;
  cells: CellStore;
  redact: Redact;
  /** Limits the search for secrets per workload and second; off for a file: its reports must not depend on time. */
  limitsSearch?: boolean;
  counters: IngestCounters;
  /** Owners and container names of pods, learned from alerts. */
  names: SubjectNames;
  /** The time at which an alert arrives. */
  nowUs: () => EpochUs;
  /** Largest lead of an alert's own time over its arrival; default 5 min. */
  maxAheadUs?: EpochUs | undefined;
  /**
   * Time of a clock that the replicas share; undefined where it is unknown. Replaces the arrival of an alert that has
   * no time of its own, or one too far ahead of this process's clock, which may be behind.
   */
  sharedNowUs?: (() => EpochUs | undefined) | undefined;
  /** `scope`: of the violation that it may have been; undefined when unreadable, null for none. */
  onRejected: (reason: Rejection, detail: string, line: number, scope: Scope | undefined | null) => void;
  onThrottled: (notice: ThrottleNotice) => void;
}

export class Ingest {
  readonly #parts: IngestParts;
  readonly #times = new TimeReader();
  readonly #searchBudgets: SearchBudgets;

  constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#searchBudgets = new SearchBudgets(parts.limitsSearch ? STEPS_PER_SECOND : Number.POSITIVE_INFINITY);
  }

  alert(alert: Alert | RawAlert, line: number): void {
    this.#parts.counters.received++;
    if ("deciding" in alert) this.#raw(alert, line);
    else this.#decode(alert, undefined, line);
  }

  /** Counts input that is no readable alert. */
  rejected(reason: Rejection, detail: string, line: number): void {
    this.#parts.counters.received++;
    this.#parts.counters.rejected[reason]++;
    this.#parts.onRejected(reason, detail, line, undefined);
  }

  #raw(raw: RawAlert, line: number): void {
    const { cells, counters, hash, nowUs, selector } = this.#parts;
    hash.hashRaw(raw);
    const cell = cells.find(raw, hash.kind);
    const isCounted = cell !== 0 && cells.isOwned(cell) && selector.tally.countsCells;
    const known = cell === 0 || isCounted ? undefined : cells.getViolation(cell);
    const violation = known && this.#parts.names.resolve(known);
    if (!isCounted && violation === undefined) {
      this.#decode(raw.read(raw.bytes), cell, line);
      return;
    }
    const arrivalUs = nowUs();
    const ownUs = this.#times.read(raw.bytes, raw.timeStart, raw.timeEnd) ?? secondsToUs(raw.timestamp);
    if (this.#times.hasMicroseconds && this.#isDuplicate(ownUs, arrivalUs)) return;
    const timeUs = countedTimeUs(ownUs, this.#toShared(ownUs, arrivalUs), this.#parts.maxAheadUs);
    if (isCounted) {
      cells.count(cell, timeUs);
      counters.counted++;
    } else if (violation !== undefined) {
      this.#add({ violation, timeUs, source: cells, cell }, timeUs === ownUs, line);
    }
  }

  /** Handles an alert of an unknown kind. `cell` is undefined for an unusual form, and 0 where there is none yet. */
  #decode(alert: Alert, known: number | undefined, line: number): void {
    const { cells, counters, hash, names, nowUs, redact, selector } = this.#parts;
    const arrivalUs = nowUs();
    const sharedUs = this.#toShared(ownTimeUs(alert), arrivalUs);
    const decoded = this.#searchBudgets.spend(alert, arrivalUs, (budget) =>
      decode(alert, sharedUs, (text) => redact(text, budget), this.#parts.maxAheadUs),
    );
    if (decoded.kind === "rejected") {
      counters.rejected[decoded.reason]++;
      this.#parts.onRejected(decoded.reason, decoded.detail, line, decoded.scope);
    } else if (decoded.kind === "throttle") {
      counters.throttleNotices++;
      selector.tally.addThrottleNotice(decoded.notice);
      this.#parts.onThrottled(decoded.notice);
    } else {
      const { timeUs, ownUs, activity } = decoded;
      const isPrecise = hasMicroseconds(alert.UpdatedTime);
      if (known === undefined && isPrecise) hash.hashDecoded(alert);
      if (isPrecise && this.#isDuplicate(ownUs, arrivalUs)) return;
      names.learn(decoded.violation, decoded.subject);
      const violation = names.resolve(decoded.violation);
      if (known) cells.setViolation(known, violation);
      const cell = known === 0 ? cells.add(hash.kind, violation) : known;
      const source = known === undefined ? new AlertEvidence(alert, activity, redact) : cells;
      this.#add({ violation, timeUs, source, cell }, timeUs === ownUs, line);
    }
  }

  /** The arrival by the shared clock, where the alert's own time is invalid by this process's clock. */
  #toShared(ownUs: EpochUs | undefined, arrivalUs: EpochUs): EpochUs {
    const { maxAheadUs, sharedNowUs } = this.#parts;
    if (ownUs !== undefined && countedTimeUs(ownUs, arrivalUs, maxAheadUs) === ownUs) return arrivalUs;
    return sharedNowUs?.() ?? arrivalUs;
  }

  /** Counts the last hashed alert if it is a duplicate. Without microseconds equal alerts may be two events. */
  #isDuplicate(ownUs: EpochUs | undefined, nowUs: EpochUs): boolean {
    const { counters, duplicates, hash } = this.#parts;
    const isDuplicate = ownUs !== undefined && duplicates.isDuplicate(hash.content, ownUs, nowUs / 1000);
    if (isDuplicate) counters.duplicates++;
    return isDuplicate;
  }

  #add(occurrence: Occurrence, isDated: boolean, line: number): void {
    const { selector, counters } = this.#parts;
    if (selector.tally.add(occurrence, isDated)) {
      counters.counted++;
      return;
    }
    const { namespace, policyName } = occurrence.violation;
    const reason = this.#parts.findRefusal(namespace) ?? "too_many_reports";
    counters.rejected[reason]++;
    const detail = `no room for another report: ${namespace ?? "the cluster"}, ${policyName}`;
    this.#parts.onRejected(reason, detail, line, null);
  }
}
