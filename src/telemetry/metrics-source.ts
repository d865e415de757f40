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
  /** As in the report's summary. */
  severity: string;
  /** Occurrences by outcome, every outcome being there. */
  outcomes: Counts;
  /** Milliseconds since the epoch. */
  lastSeenMs: number;
}

/** A report as its series show it. */
export interface ReportRow {
  labels: { resource_namespace: string; policy: string; severity: string };
  outcomes: Counts;
  lastSeenMs: number;
}

/** Policy objects of one kind, as far as this replica follows them. */
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
  /** Counter: messages published or read. */
  messages: number;
  retries: number;
  /** Counter: occurrences published, or added to reports. */
  occurrences: number;
  /** Counter: occurrences that are missing at most. */
  lost: number;
  dropped: number;
  /** Counter by reason. */
  skipped: Counts;
}

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
  held(): {
    unwrittenOccurrences: number;
    violations: number;
    reports: number;
    /** Estimated heap size of the violations. */
    bytes: number;
    /** The same of rendered violations kept for the next write. */
    renderedBytes: number;
    /** Counter: violations evicted at a memory bound. */
    forgotten: number;
    /** Counter: violations that left their reports because they were not seen for too long. */
    expired: number;
    /** Counter: alerts counted without their details, because a bound of memory was reached. */
    withoutDetails: number;
    /** Owners of pods and names of containers. */
    names: number;
    /** Counter: names evicted at a bound. */
    namesEvicted: number;
    /** Counter: violations that joined others after their owner or container name was known. */
    joined: number;
  };
  buffers(): Buffers;
  stream(): {
    isUp: boolean;
    /** Zeros where the relay is read. */
    nodes: { desired: number; connected: number };
    /** Counter by kind: times in which alerts may have been missed. */
    gaps: Counts;
    /** Counter by kind: how long those that are over lasted in all, in seconds. */
    gapSeconds: Counts;
    /** Milliseconds since the epoch; 0 before the first message. */
    lastMessageMs: number;
    /** Counter: an outage counts once, however many attempts it takes. */
    disconnects: Counts;
    /** First expiry of the certificates of the newest connection; undefined without TLS. Milliseconds since the epoch. */
    certificateExpiryMs: number | undefined;
  };
  /** The journal; all 0 where none is configured. */
  journal(): {
    isKept: boolean;
    bytes: number;
    batches: number;
    /** Counter: rows in these batches. */
    rows: number;
    /** Counter: batches and attempts to open it that failed. */
    failures: number;
    /** Counter: occurrences of an earlier process that no report held. */
    recovered: number;
    waiting: number;
    ageMs: number;
  };
  writes(): {
    results: Counts;
    /** Counter: reports deleted because nothing in them was young enough to be kept. */
    removed: number;
    queued: number;
  };
  api(): {
    /** Counter by HTTP method and outcome: `OK` or the kind of error. */
    requests: Iterable<{ verb: string; code: string; count: number }>;
    retries: number;
  };
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
  standby(): {
    /** Kept, for no report shows them yet. */
    held: number;
    /** Counter: alerts left to the leader, persisted in its reports. */
    shown: number;
    /** Counter: evicted at a bound of the standby. */
    forgotten: number;
    /** True if it could take over without a gap. */
    isCaughtUp: boolean;
  };
}
