// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Outcomes of all recorded occurrences.
// Invariant: recorded = sent + pending + Σ suppressed + Σ lost, at every moment.

/** Reason why an occurrence makes no Event by intention. */
export type SuppressReason =
  /** It is about the default posture, and Events about that are not enabled. */
  | "default_posture"
  /** The pod or node has had its share of new Events. */
  | "rate_limited";

/** Reason why the Event of an occurrence was lost. */
export type LossReason =
  /** The queue of Events to be created is full. */
  | "queue_full"
  /** The pod, the node or the namespace is gone. */
  | "pod_gone"
  /** The API server did not take it in five tries. */
  | "retries_exhausted"
  /** The API server refused it. */
  | "refused"
  /** There were more series than are kept. */
  | "evicted"
  /** The program stopped first. */
  | "stopped";

/** Counted in occurrences, except `sent`, `retries`, `series` and `queued`. */
export interface RecorderStats {
  recorded: number;
  reported: number;
  pending: number;
  suppressed: Record<SuppressReason, number>;
  lost: Record<LossReason, number>;
  /** Events created and series patched in the API server. */
  sent: { created: number; patched: number };
  /** Requests that were tried again. */
  retries: number;
  series: number;
  /** Series that wait for their turn now. */
  queued: number;
}

/** The counters behind RecorderStats; the numbers of pending and kept Events are read from the recorder. */
export type EventCounters = Omit<RecorderStats, "pending" | "series" | "queued">;

export function createEventCounters(): EventCounters {
  return {
    recorded: 0,
    reported: 0,
    suppressed: { default_posture: 0, rate_limited: 0 },
    lost: { queue_full: 0, pod_gone: 0, retries_exhausted: 0, refused: 0, evicted: 0, stopped: 0 },
    sent: { created: 0, patched: 0 },
    retries: 0,
  };
}
