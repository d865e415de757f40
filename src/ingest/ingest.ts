// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The one way in: feed → decode → duplicates → aggregate. Counts the outcome of every alert.
// Invariant: never waits and never throws; the stream is not kept waiting for anything.

import type { Alert, RawAlert } from "../api/alert.ts";
import { type EpochUs, hasMicroseconds, secondsToUs, TimeReader } from "../lib/time.ts";
import type { AlertHash } from "./alert-hash.ts";
import type { AlertTally } from "./alert-tally.ts";
import { countedTimeUs, decode } from "./decode.ts";
import type { DuplicateFilter } from "./duplicates.ts";
import { AlertSource, RawSource } from "./evidence.ts";
import type { IngestCounters, Rejection } from "./ingest-counters.ts";
import { Known, type Memo } from "./memo.ts";
import type { Occurrence } from "./occurrence.ts";
import type { Redact } from "./redact.ts";
import type { Scope, ThrottleNotice } from "./violation.ts";

export interface IngestParts {
  /** Where counted alerts and notices go; asked for each. */
  tally: () => AlertTally;
  hash: AlertHash;
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

  constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#rawSource = new RawSource(parts.redact);
  }

  alert(alert: Alert | RawAlert, line: number): void {
    const { counters, memo, nowUs } = this.#parts;
    counters.received++;
    if (!("deciding" in alert)) {
      this.#decode(alert, undefined, nowUs(), line);
      return;
    }
    this.#parts.hash.hashRaw(alert);
    const known = memo.find(alert);
    if (known !== undefined) this.#repeat(alert, known, nowUs());
    else this.#decode(alert.read(alert.bytes), alert, nowUs(), line);
  }

  /** Counts input that the feed could not read as an alert. */
  rejected(reason: Rejection, detail: string, line: number): void {
    this.#parts.counters.received++;
    this.#parts.counters.rejected[reason]++;
    this.#parts.onRejected(reason, detail, line, undefined);
  }

  /** Takes an alert of a known kind: only its time and its evidence are read. */
  #repeat(raw: RawAlert, known: Known, nowUs: EpochUs): void {
    const ownUs = this.#times.read(raw.bytes, raw.timeStart, raw.timeEnd) ?? secondsToUs(raw.timestamp);
    if (this.#times.hasMicroseconds && this.#isDuplicate(ownUs, nowUs)) return;
    known.timeUs = countedTimeUs(ownUs, nowUs, this.#parts.maxAheadUs);
    this.#rawSource.of(raw);
    this.#add(known, known.timeUs === ownUs, 0);
  }

  /** Takes an alert of an unknown kind; `raw` is the same one as received. */
  #decode(alert: Alert, raw: RawAlert | undefined, nowUs: EpochUs, line: number): void {
    const { tally, counters, hash, memo, redact } = this.#parts;
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
      const isPrecise = hasMicroseconds(alert.UpdatedTime);
      if (!raw && isPrecise) hash.hashDecoded(alert);
      if (raw) memo.remember(raw, new Known(violation, this.#rawSource));
      if (isPrecise && this.#isDuplicate(ownUs, nowUs)) return;
      // The alert has been decoded already.
      const source = new AlertSource(alert, activity, redact);
      this.#add({ violation, timeUs, source }, timeUs === ownUs, line);
    }
  }

  /** Counts the alert hashed last if it is a duplicate. Without microseconds equal alerts may be of two events. */
  #isDuplicate(ownUs: EpochUs | undefined, nowUs: EpochUs): boolean {
    const { counters, duplicates, hash } = this.#parts;
    const isDuplicate = ownUs !== undefined && duplicates.isDuplicate(hash.content, ownUs, nowUs / 1000);
    if (isDuplicate) counters.duplicates++;
    return isDuplicate;
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
