// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: source of the metrics' numbers. Counting code keeps plain numbers; a scrape reads them.
// Invariant: reading adds no cost to the path of an alert and changes nothing. The metrics' help says what each number is.

import type { Buffers } from "../lib/collections/buffer-use.ts";

/** Counts by a label's value; every value that is known in advance is present from the start, with 0. */
export type Counts = Readonly<Record<string, number>>;

export interface ReportCounts {
  /** Undefined for a report of the whole cluster. */
  namespace: string | undefined;
  policy: string;
  severity: string;
  /** Occurrences by outcome, every outcome being there. */
  outcomes: Counts;
  /** Milliseconds since the epoch. */
  lastSeenMs: number;
}

export interface ReportRow {
  labels: { resource_namespace: string; policy: string; severity: string };
  outcomes: Counts;
  lastSeenMs: number;
}

export interface FollowedKind {
  kind: string;
  isKnown: boolean;
  objects: number;
  leftOut: number;
}

/** Several processes over a stream. */
export interface ScaleNumbers {
  held: number;
  replicas: number;
  isStreamUp: boolean;
  messages: number;
  retries: number;
  occurrences: number;
  lost: number;
  dropped: number;
  skipped: Counts;
}

export const NOTHING_HELD = {
  unwrittenOccurrences: 0,
  violations: 0,
  reports: 0,
  bytes: 0,
  renderedBytes: 0,
  forgotten: 0,
  expired: 0,
  withoutDetails: 0,
  names: 0,
  namesEvicted: 0,
  joined: 0,
};

/** Of the journal, where none is configured. */
export const NO_JOURNAL = {
  isKept: false,
  bytes: 0,
  batches: 0,
  rows: 0,
  failures: 0,
  recovered: 0,
  waiting: 0,
  ageMs: 0,
};

/** Numbers as they are at this moment. Counters only ever grow. */
export interface MetricsSource {
  /** Received alerts by outcome; `received` is the sum of the others. */
  counters(): {
    received: number;
    counted: number;
    duplicates: number;
    throttleNotices: number;
    shortened: number;
    rejected: Counts;
  };
  held(): typeof NOTHING_HELD;
  buffers(): Buffers;
  stream(): {
    isUp: boolean;
    /** Zeros where the relay is read. */
    nodes: { desired: number; connected: number };
    gaps: Counts;
    gapSeconds: Counts;
    /** Milliseconds since the epoch; 0 before the first message. */
    lastMessageMs: number;
    disconnects: Counts;
    /** First expiry of the certificates of the newest connection; undefined without TLS. Milliseconds since the epoch. */
    certificateExpiryMs: number | undefined;
  };
  journal(): typeof NO_JOURNAL;
  writes(): { results: Counts; removed: number; queued: number };
  api(): { requests: Iterable<{ verb: string; code: string; count: number }>; retries: number };
  events(): { sent: number; suppressed: Counts; lost: Counts };
  /** The reports with series of their own, and the bucket of those without; none where this replica does not write. */
  reports(): { rows: readonly ReportRow[]; others: number };
  isLeader(): boolean;
  /** Undefined where one process does all. */
  scale?(): ScaleNumbers;
  /** The policies that reports refer to, one row per kind. */
  policies(): readonly FollowedKind[];
  acceptances(): { held: number; leftOut: number; statusWrites: Counts };
  /** The copies of the reports as OpenReports; all 0 where they are switched off. */
  openReports(): {
    /** True if the cluster serves them and this replica follows them. */
    isServed: boolean;
    results: Counts;
    pending: number;
    leftOut: number;
  };
  /** Counted alerts that did not go straight to a report of this replica, because another one led. */
  standby(): { held: number; shown: number; forgotten: number; isCaughtUp: boolean };
}
