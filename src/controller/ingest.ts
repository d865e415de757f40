// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The one way in: feed → decode → duplicates → aggregate. Counts the outcome of every alert.
// Invariant: never waits and never throws; the stream is not kept waiting for anything.

import type { Alert } from "../api/alert.ts";
import type { Aggregator } from "../core/aggregate.ts";
import { decode } from "../core/decode.ts";
import type { DuplicateFilter } from "../core/duplicates.ts";
import type { Redact } from "../core/redact.ts";
import type { EpochUs } from "../core/time.ts";
import type { Scope, ThrottleNotice } from "../core/violation.ts";
import type { Books, Rejection } from "./books.ts";

export interface IngestParts {
  aggregator: Aggregator;
  duplicates: DuplicateFilter;
  redact: Redact;
  books: Books;
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

  constructor(parts: IngestParts) {
    this.#parts = parts;
  }

  alert(alert: Alert, line: number): void {
    const { aggregator, books, duplicates, redact } = this.#parts;
    books.received++;
    const nowUs = this.#parts.nowUs();
    const decoded = decode(alert, nowUs, redact, this.#parts.maxAheadUs);
    if (decoded.kind === "rejected") {
      books.rejected[decoded.reason]++;
      this.#parts.onRejected(decoded.reason, decoded.detail, line, decoded.scope);
    } else if (decoded.kind === "throttle") {
      books.throttleNotices++;
      aggregator.addThrottleNotice(decoded.notice);
      this.#parts.onThrottled(decoded.notice);
    } else {
      const { duplicateKey } = decoded.violation;
      if (duplicateKey !== undefined && duplicates.isDuplicate(duplicateKey, nowUs / 1000)) {
        books.duplicates++;
      } else {
        books.counted++;
        aggregator.add(decoded.violation);
      }
    }
  }

  /** Counts input that the feed could not read as an alert. */
  rejected(reason: Rejection, detail: string, line: number): void {
    this.#parts.books.received++;
    this.#parts.books.rejected[reason]++;
    this.#parts.onRejected(reason, detail, line, undefined);
  }
}
