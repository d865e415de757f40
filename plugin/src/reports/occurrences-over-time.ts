// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Occurrences over time: from the history of the reports where the filter allows it, else from the first and the last
// time of each violation. Invariant: pure; an occurrence without a known time is counted as such, never spread or
// guessed.

import type { Outcome, Report } from "../../../src/api/v1alpha1.ts";
import { type Filter, OUTCOMES, type Selection } from "./filter.ts";
import { HISTORY_KEY, readHistorySince, type Span } from "./history.ts";
import { isLowerBound, type ViolationRef } from "./report-view.ts";
import { describeGap, findLastingGap, getWholeSince } from "./sentences.ts";
import { describeAccepted, describeCut, describeExpired } from "./totals.ts";
import { formatMs, toMs } from "./when.ts";
import { formatCount, formatSentence } from "./words.ts";

export interface Part {
  fromMs: number;
  toMs: number;
  /** Occurrences that are known to lie here. */
  counts: Record<Outcome, number>;
}

export interface Timeline {
  buckets: Part[];
  /** Facts that the parts do not show, in sentences. */
  notes: string[];
}

export interface TimelineForm {
  /** Number of parts where there is no history. */
  parts: number;
  fromMs?: number;
  toMs?: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Builds the timeline; undefined when there is nothing to show. */
export function buildTimeline(
  reports: readonly Report[],
  selection: Selection,
  filter: Filter,
  form: TimelineForm,
): Timeline | undefined {
  const timeline =
    readHistory(reports, filter, form) ?? collectTimes(reports.filter(filter.matchesReport), selection, form);
  const reading = timeline && describeReading(reports, timeline.buckets[0]?.fromMs ?? 0);
  return timeline && { ...timeline, notes: [...timeline.notes, ...(reading === undefined ? [] : [reading])] };
}

/** Says that a part without a bar need not have been quiet; undefined where the stream was read all the time. */
function describeReading(reports: readonly Report[], fromMs: number): string | undefined {
  const gap = findLastingGap(reports);
  if (gap) return `Alerts are missing now. ${describeGap(gap)} Before that, too, some may be missing.`;
  const sinceMs = getWholeSince(reports);
  if (sinceMs === undefined) return "It is unknown when alerts were read.";
  if (sinceMs <= fromMs) return undefined;
  return `Before ${formatMs(sinceMs)} alerts may be missing: the stream has been read without a known gap only since then.`;
}

function emptyPart(fromMs: number, toMs: number): Part {
  return { fromMs, toMs, counts: { Allowed: 0, Prevented: 0, Unknown: 0 } };
}

/** By hour up to 48 hours, else by day; undefined where a report has no history that reaches back. */
function readHistory(reports: readonly Report[], filter: Filter, form: TimelineForm): Timeline | undefined {
  const selected = reports.filter(filter.matchesReport);
  if (!filter.isByOutcome || selected.length === 0) return undefined;
  if (selected.some(({ summary }) => summary.history === undefined)) return undefined;
  const firstMs = Math.min(...selected.map(({ summary }) => toMs(summary.firstSeen)));
  const lastMs = Math.max(...selected.map(({ summary }) => toMs(summary.lastSeen)));
  const toMsEnd = form.toMs ?? lastMs;
  const wantedMs = form.fromMs ?? firstMs;
  const isByHour = toMsEnd - wantedMs < 47 * HOUR_MS;
  const step = isByHour ? HOUR_MS : DAY_MS;
  const maxParts = isByHour ? 48 : 31;
  const endMs = (Math.floor(toMsEnd / step) + 1) * step;
  const startMs = Math.max(Math.floor(wantedMs / step) * step, endMs - maxParts * step);
  const isCut = startMs > wantedMs;
  const buckets: Part[] = [];
  for (let at = startMs; at < endMs; at += step) buckets.push(emptyPart(at, at + step));
  let isLess = false;
  for (const report of selected) {
    const spans = isByHour ? readHistorySince(report, startMs) : listDays(report);
    if (spans === undefined || report.summary.history?.lowerBound || report.coverage.lowerBound) isLess = true;
    for (const span of spans ?? []) place(buckets, span, filter);
  }
  const shown = buckets.reduce((sum, bucket) => sum + sumCounts(bucket), 0);
  const all = selected.reduce((sum, { summary }) => {
    return sum + filter.outcomes.reduce((n, outcome) => n + summary[HISTORY_KEY[outcome]], 0);
  }, 0);
  const notes = [isLess ? LOWER_BOUNDS : "", "Accepted violations are included."];
  if (all > shown) {
    const where = isLess ? "lie outside of this time, or have no known time" : "lie outside of this time";
    notes.unshift(`${formatCount(all - shown, "occurrence")} ${where}.`);
  }
  if (isCut) notes.push(`Reports hold a history of 31 days: the time before ${formatMs(startMs)} is not shown.`);
  return { buckets, notes: notes.filter((note) => note !== "") };
}

function listDays({ summary }: Report): Span[] {
  return (summary.history?.daily ?? []).map(({ start, ...counts }) => {
    return { ...counts, startMs: toMs(start), endMs: toMs(start) + DAY_MS };
  });
}

function place(buckets: readonly Part[], span: Span, { outcomes }: Filter): void {
  const bucket = buckets.find(({ fromMs, toMs: end }) => span.startMs >= fromMs && span.startMs < end);
  if (!bucket) return;
  for (const outcome of outcomes) bucket.counts[outcome] += span[HISTORY_KEY[outcome]] ?? 0;
}

const LOWER_BOUNDS = "The numbers are lower bounds.";

/** From the first and the last time of each violation; an occurrence between them has no known time. */
function collectTimes(reports: readonly Report[], selection: Selection, form: TimelineForm): Timeline | undefined {
  const { found, cut } = selection;
  const span = form.fromMs === undefined ? getSpan(found) : { fromMs: form.fromMs, toMs: form.toMs ?? 0 };
  if (span === undefined || found.length === 0) return undefined;
  const { fromMs, toMs: endMs } = span;
  const step = Math.max(1, (endMs - fromMs) / form.parts);
  const buckets = Array.from({ length: form.parts }, (_, i) => emptyPart(fromMs + i * step, fromMs + (i + 1) * step));
  // The end belongs to the last part.
  const at = (ms: number) =>
    ms < fromMs || ms > endMs ? -1 : Math.min(form.parts - 1, Math.floor((ms - fromMs) / step));
  let unplaced = 0;
  let outside = 0;
  for (const { violation } of found) {
    const { outcome, occurrences } = violation;
    const first = at(toMs(violation.firstSeen));
    const last = at(toMs(violation.lastSeen));
    const add = (i: number, n: number) => {
      const bucket = buckets[i];
      if (bucket) bucket.counts[outcome] += n;
    };
    if (first === last && first >= 0) {
      add(first, occurrences);
      continue;
    }
    if (toMs(violation.lastSeen) < fromMs || toMs(violation.firstSeen) > endMs) {
      outside += occurrences;
      continue;
    }
    // One at each end is certain, as they are in different parts, or one of them is outside.
    const ends = occurrences > 1 ? [first, last] : [last];
    for (const end of ends) add(end, 1);
    unplaced += Math.max(0, occurrences - ends.length);
  }
  const notes: string[] = [];
  if (unplaced > 0) {
    notes.push(
      `The numbers are lower bounds: the times of ${formatCount(unplaced, "more occurrence")} are unknown, between the ` +
        "first and the last time of their violation. A part without a bar need not have been quiet.",
    );
  } else if (found.some(isLowerBound)) notes.push(LOWER_BOUNDS);
  if (outside > 0) notes.push(`${formatCount(outside, "occurrence")} lie outside of this time.`);
  if (selection.hidden > 0) notes.push(formatSentence(describeAccepted(selection)));
  if (cut.length > 0) notes.push(formatSentence(describeCut(cut)));
  const expired = describeExpired(...reports);
  if (expired !== "") notes.push(formatSentence(expired));
  return { buckets, notes: notes.length > 0 ? notes : ["Every listed occurrence that matches is shown."] };
}

/** All outcomes of a part together. */
export function sumCounts({ counts }: Part): number {
  return OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0);
}

function getSpan(found: readonly ViolationRef[]): { fromMs: number; toMs: number } | undefined {
  if (found.length === 0) return undefined;
  let [fromMs, lastMs] = [Number.POSITIVE_INFINITY, 0];
  for (const { violation } of found) {
    fromMs = Math.min(fromMs, toMs(violation.firstSeen));
    lastMs = Math.max(lastMs, toMs(violation.lastSeen));
  }
  return { fromMs, toMs: lastMs };
}
