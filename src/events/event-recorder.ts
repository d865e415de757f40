// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: Kubernetes Events as this operator sends them. "Event" means nothing else in this code base.
// Invariant: an Event is best effort; recording one never waits and never throws.

import type { Outcome } from "../api/v1alpha1.ts";

/** Object of an Event. A node has no namespace; its Events live in `default`. */
export type Regarding =
  | { kind: "Pod" | "Deployment" | "Namespace"; namespace: string; name: string }
  | { kind: "Node"; name: string };

export interface RelatedReport {
  kind: string;
  namespace?: string | undefined;
  name: string;
  uid?: string | undefined;
}

/** Something that happened `count` times to a pod or a node since the last Event about it. */
export interface EventUpdate {
  regarding: Regarding;
  /** Absent where no one report is meant (a throttle notice). */
  related?: RelatedReport;
  /**
   * These four and `regarding` identify a series; `outcome` is "Throttled" for a throttle notice, "StreamGap" for a
   * gap.
   */
  policy: string;
  operation: string;
  action: string;
  outcome: Outcome | "Throttled" | "StreamGap";
  /** One stable sentence, already sanitized; cut to 1,024 bytes before it is sent. */
  note: string;
  count: number;
  /** Microseconds since the epoch. */
  firstUs: number;
  lastUs: number;
}

export interface EventRecorder {
  /** Takes an occurrence into a bounded queue; what does not fit is counted as lost. */
  record(occurrence: EventUpdate): void;
}

/** An Event to be created, in the terms of events.k8s.io/v1. */
export interface NewEvent {
  name: string;
  namespace: string;
  reason: string;
  action: string;
  note: string;
  regarding: { apiVersion: "v1" | "apps/v1"; kind: Regarding["kind"]; namespace?: string; name: string; uid: string };
  related?: RelatedReport;
  /** Microseconds since the epoch: the first occurrence. */
  eventTimeUs: number;
  /** Present when the series has more than one occurrence at creation. */
  series?: { count: number; lastObservedUs: number };
}

export type EventResult =
  | { kind: "sent" }
  /** The Event to be patched is gone (its TTL ran out): create it again. */
  | { kind: "gone" }
  /** The namespace is gone or terminating: drop, never retry. */
  | { kind: "namespace_gone" }
  | { kind: "retry"; message: string; retryAfterMs?: number }
  | { kind: "refused"; message: string };

/** The uid under which `kubectl describe` looks for Events (a mirror pod's is its mirror annotation). */
export type UidResult =
  | { kind: "found"; uid: string }
  | { kind: "absent" }
  | { kind: "retry"; message: string; retryAfterMs?: number }
  | { kind: "refused"; message: string };

/** PORT: where Events go. */
export interface EventSink {
  findUid(regarding: Regarding, signal: AbortSignal): Promise<UidResult>;
  create(event: NewEvent, signal: AbortSignal): Promise<EventResult>;
  /** Sets the series of an Event that was created before. */
  patchSeries(
    ref: { namespace: string; name: string },
    series: { count: number; lastObservedUs: number },
    signal: AbortSignal,
  ): Promise<EventResult>;
}
