// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The one way in: feed → decode → duplicates → aggregate. Counts the outcome of every alert.
// Invariant: never waits and never throws; the stream is not kept waiting for anything.

import type { Alert, RawAlert } from "../api/alert.ts";
import { type EpochUs, secondsToUs, TimeReader } from "../lib/time.ts";
import type { AlertTally } from "./alert-tally.ts";
import { countedTimeUs, decode } from "./decode.ts";
import type { DuplicateFilter, DuplicateSubject } from "./duplicates.ts";
import { AlertSource, RawSource } from "./evidence.ts";
import type { IngestCounters, Rejection } from "./ingest-counters.ts";
import { Known, type Memo } from "./memo.ts";
import type { Occurrence } from "./occurrence.ts";
import type { Redact } from "./redact.ts";
import type { Scope, ThrottleNotice } from "./violation.ts";

export interface IngestParts {
  /** Where counted alerts and notices go; asked for each. */
  tally: () => AlertTally;
  duplicates: DuplicateFilter;
  memo: Memo;
  redact: Redact;
  counters: IngestCounters;
  /** The time at which an alert arrives. */
  nowUs: () => EpochUs;
  /** How far ahead of its arrival an alert's own time may be; default 5 min. */
  maxAheadUs?: EpochUs | undefined;
  /** `scope`: whose violation it may have been; undefined when nothing of that was readable, null for nobody's. */
  onRejected: (reason: Rejection, detail: string, line: number, scope: Scope | undefined | null) => void;
  onThrottled: (notice: ThrottleNotice) => void;
}

export class Ingest {
  readonly #parts: IngestParts;
  readonly #times = new TimeReader();
  readonly #rawSource: RawSource;
  readonly #subjectOf: (alert: Alert) => DuplicateSubject;

  constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#rawSource = new RawSource(parts.redact);
    this.#subjectOf = (alert) => parts.duplicates.subjectOf(alert);
  }

  alert(alert: Alert | RawAlert, line: number): void {
    this.#parts.counters.received++;
    const nowUs = this.#parts.nowUs();
    if (!("deciding" in alert)) this.#decode(alert, undefined, nowUs, line);
    else {
      const known = this.#parts.memo.find(alert);
      if (known !== undefined) this.#repeat(alert, known, nowUs);
      else this.#decode(alert.read(alert.bytes), alert, nowUs, line);
    }
  }

  /** Counts input that the feed could not read as an alert. */
  rejected(reason: Rejection, detail: string, line: number): void {
    this.#parts.counters.received++;
    this.#parts.counters.rejected[reason]++;
    this.#parts.onRejected(reason, detail, line, undefined);
  }

  /** Takes an alert that tells what one before has told: no more of it is looked at than differs. */
  #repeat(raw: RawAlert, known: Known, nowUs: EpochUs): void {
    const ownUs = this.#times.read(raw.bytes, raw.timeStart, raw.timeEnd) ?? secondsToUs(raw.timestamp);
    known.timeUs = countedTimeUs(ownUs, nowUs, this.#parts.maxAheadUs);
    this.#rawSource.of(raw);
    const subject = known.subject(raw, this.#subjectOf);
    this.#count(known, subject, raw.hostPid, ownUs, nowUs, 0);
  }

  /** Takes an alert of which nothing is known; `raw` is the same one as it came. */
  #decode(alert: Alert, raw: RawAlert | undefined, nowUs: EpochUs, line: number): void {
    const { tally, counters, duplicates, memo, redact } = this.#parts;
    const decoded = decode(alert, nowUs, redact, this.#parts.maxAheadUs);
    if (decoded.kind === "rejected") {
      counters.rejected[decoded.reason]++;
      this.#parts.onRejected(decoded.reason, decoded.detail, line, decoded.scope);
    } else if (decoded.kind === "throttle") {
      counters.throttleNotices++;
      tally().addThrottleNotice(decoded.notice);
      this.#parts.onThrottled(decoded.notice);
    } else {
      const { violation, timeUs, ownUs, activity } = decoded;
      // It has been read already.
      const source = new AlertSource(alert, activity, redact);
      const subject = duplicates.subjectOf(alert);
      if (raw) memo.remember(raw, new Known(violation, this.#rawSource, alert, subject));
      this.#count({ violation, timeUs, source }, subject, alert.HostPID, ownUs, nowUs, line);
    }
  }

  #count(
    occurrence: Occurrence,
    subject: DuplicateSubject,
    hostPid: number,
    ownUs: EpochUs | undefined,
    nowUs: EpochUs,
    line: number,
  ): void {
    const { counters, duplicates } = this.#parts;
    // An undated alert is never taken for a duplicate.
    if (ownUs !== undefined && duplicates.isDuplicate(subject, hostPid, ownUs, nowUs / 1000)) {
      counters.duplicates++;
    } else {
      this.#add(occurrence, occurrence.timeUs === ownUs, line);
    }
  }

  #add(occurrence: Occurrence, isDated: boolean, line: number): void {
    const { tally, counters } = this.#parts;
    if (tally().add(occurrence, isDated)) {
      counters.counted++;
      return;
    }
    counters.rejected.too_many_reports++;
    const { namespace = "the cluster", policyName } = occurrence.violation;
    this.#parts.onRejected(
      "too_many_reports",
      `no report more is begun: ${namespace}, ${policyName}`,
      line,
      null,
    );
  }
}
