// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// State of one series of Events: its occurrences, how many of them were sent, and when the next request is due.
// Invariant: pure; time is an argument. Every occurrence is either sent or pending.

import type { EventUpdate, NewEvent, RelatedReport } from "./event-recorder.ts";
import { createEventName, findEventNamespace, fitEventNote, toEventAction, toEventReason } from "./naming.ts";

/** While only the count moves, the Event is patched at most this often (besides 2 and the powers of ten). */
export const HEARTBEAT_MS = 60_000;
/** A series that is silent for this long has ended; a later occurrence starts a new one. client-go's value. */
export const SILENCE_MS = 360_000;

/** Stands in no namespace. */
const SEPARATOR = "\u001f";

/** One (regarding, policy, operation, action, outcome). */
export interface Series {
  readonly key: string;
  readonly occurrence: EventUpdate;
  /** The newest pointer to the report; its uid may be known only later. */
  related: RelatedReport | undefined;
  /** Occurrences since the series began. */
  total: number;
  /** Part of `total` that the cluster has stored. */
  reported: number;
  /** Part of `reported` in an earlier Event of this series, about an object that is gone. */
  base: number;
  /** Microseconds: the first occurrence of the current Event, the first pending one, and the last one. */
  firstUs: number;
  pendingFirstUs: number | undefined;
  lastUs: number;
  /** The Event that is in the cluster, as far as we know. */
  event: { namespace: string; name: string; uid: string } | undefined;
  lastSentMs: number;
  lastRecordedMs: number;
}

/** A request that was begun; it stays the same through all its tries, so a lost answer can't make two Events. */
export type SeriesAttempt =
  | { kind: "create"; event: NewEvent; upTo: number }
  | { kind: "patch"; ref: { namespace: string; name: string }; count: number; lastUs: number; upTo: number };

/** Returns the identity of a series; unambiguous for any text in its parts. */
export function toSeriesKey(occurrence: EventUpdate): string {
  const { regarding, policy, operation, action, outcome } = occurrence;
  const namespace = regarding.kind === "Node" ? "" : regarding.namespace;
  const parts = [regarding.kind, regarding.name, policy, operation, action, outcome];
  return `${namespace}${SEPARATOR}${JSON.stringify(parts)}`;
}

/** Namespace in a series' key; empty for nodes. */
export function parseSeriesNamespace(key: string): string {
  return key.slice(0, key.indexOf(SEPARATOR));
}

/** A series that has nothing in it yet. */
export function createSeries(key: string, occurrence: EventUpdate, nowMs: number): Series {
  return {
    key,
    occurrence,
    related: occurrence.related,
    total: 0,
    reported: 0,
    base: 0,
    firstUs: occurrence.firstUs,
    pendingFirstUs: undefined,
    lastUs: occurrence.lastUs,
    event: undefined,
    lastSentMs: Number.NEGATIVE_INFINITY,
    lastRecordedMs: nowMs,
  };
}

/** Adds `count` occurrences; they may be older than those before. */
export function addOccurrence(series: Series, occurrence: EventUpdate, count: number, nowMs: number): void {
  series.total += count;
  series.related = occurrence.related ?? series.related;
  // The time of an Event can't be changed once it exists.
  if (series.event === undefined) series.firstUs = Math.min(series.firstUs, occurrence.firstUs);
  series.pendingFirstUs = Math.min(series.pendingFirstUs ?? occurrence.firstUs, occurrence.firstUs);
  series.lastUs = Math.max(series.lastUs, occurrence.lastUs);
  series.lastRecordedMs = nowMs;
}

/** Occurrences that are not sent yet. */
export function countPending(series: Series): number {
  return series.total - series.reported;
}

/**
 * True at once for the first occurrence, for the second, and when the count gets another digit; else when a minute has
 * passed since the last request.
 */
export function isDue(series: Series, nowMs: number): boolean {
  if (countPending(series) === 0) return false;
  if (series.event === undefined) return true;
  const shown = series.reported - series.base;
  if (shown < 2 || countDigits(series.total - series.base) > countDigits(shown)) return true;
  return nowMs - series.lastSentMs >= HEARTBEAT_MS;
}

/** True if the series has nothing pending and has been silent for six minutes. */
export function isOver(series: Series, nowMs: number): boolean {
  return countPending(series) === 0 && nowMs - series.lastRecordedMs >= SILENCE_MS;
}

/** Begins a new Event with the pending occurrences: the object has another uid than the Event's. */
export function startOver(series: Series): void {
  series.event = undefined;
  series.base = series.reported;
  series.firstUs = series.pendingFirstUs ?? series.lastUs;
}

/** Builds the request that sends everything up to now: a create while there is no Event, else a patch. */
export function createAttempt(series: Series, uid: string, nowMs: number, random: number): SeriesAttempt {
  const count = series.total - series.base;
  const upTo = series.total;
  if (series.event !== undefined) {
    return { kind: "patch", ref: series.event, count, lastUs: series.lastUs, upTo };
  }
  const { occurrence, related } = series;
  const { regarding } = occurrence;
  const event: NewEvent = {
    name: createEventName(regarding, nowMs, random),
    namespace: findEventNamespace(regarding),
    reason: toEventReason(occurrence),
    action: toEventAction(occurrence),
    note: fitEventNote(occurrence.note),
    regarding: { apiVersion: regarding.kind === "Deployment" ? "apps/v1" : "v1", ...regarding, uid },
    ...(related === undefined ? {} : { related }),
    eventTimeUs: series.firstUs,
    ...(count < 2 ? {} : { series: { count, lastObservedUs: series.lastUs } }),
  };
  return { kind: "create", event, upTo };
}

/** Records that `attempt` was stored at `nowMs`; returns the number of occurrences that it newly sent. */
export function recordSent(series: Series, attempt: SeriesAttempt, nowMs: number): number {
  const news = attempt.upTo - series.reported;
  series.reported = attempt.upTo;
  series.lastSentMs = nowMs;
  // Occurrences recorded during the request are newer than those it sent; their own first time is lost in the sum, and
  // the last time is the best remaining bound.
  series.pendingFirstUs = countPending(series) === 0 ? undefined : series.lastUs;
  if (attempt.kind === "create") {
    const { namespace, name, regarding } = attempt.event;
    series.event = { namespace, name, uid: regarding.uid };
  }
  return news;
}

function countDigits(count: number): number {
  return String(count).length;
}
