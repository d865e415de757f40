// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Value of STREAM_GAPS_ANNOTATION: gaps of the alert stream that are over, as JSON.
// Invariant: any text can be read; what is no such gap is left out.

import type { Coverage, CoverageGapEntry, CoverageGapKind, MicroTime } from "../../api/v1alpha1.ts";
import { isObject, toText } from "../../lib/json.ts";
import { type EpochUs, parseMicroTime } from "../../lib/time.ts";

/** A gap that is over, as in `coverage.recent` of a report. */
export interface StreamGapEntry extends CoverageGapEntry {
  to: MicroTime;
}

/** Gaps in one annotation. */
export const MAX_STREAM_GAPS = 16;

const KINDS: ReadonlySet<string> = new Set<CoverageGapKind>(["StreamDown", "StreamEnded", "NodeDown", "Stalled"]);

/** Returns the gaps as text; empty where there are none. */
export function formatStreamGaps(gaps: readonly StreamGapEntry[]): string {
  return gaps.length === 0 ? "" : JSON.stringify(gaps);
}

/** Reads the output of formatStreamGaps. */
export function parseStreamGaps(text: string): StreamGapEntry[] {
  return parseList(text).flatMap((each) => {
    if (!isObject(each)) return [];
    const [kind, from, to] = [toText(each["kind"]), toText(each["from"]), toText(each["to"])];
    const [fromUs, toUs] = [parseMicroTime(from), parseMicroTime(to)];
    if (!KINDS.has(kind) || fromUs === undefined || toUs === undefined || toUs < fromUs) return [];
    const { nodes } = each;
    const details = typeof nodes === "number" && Number.isSafeInteger(nodes) && nodes > 0 ? { nodes } : {};
    const seconds = Math.ceil((toUs - fromUs) / 1_000_000);
    return [{ kind: kind as CoverageGapKind, from, to, seconds, ...details }];
  });
}

/**
 * Returns a time since which the report was written, with all gaps of the stream until then: it lists a gap only once that
 * has begun. 0 where it says none.
 */
export function findWrittenUs({ continuousSince = "", recent = [] }: Partial<Coverage>): EpochUs {
  const begun = recent.filter(({ kind }) => KINDS.has(kind)).map(({ from }) => from);
  return Math.max(...[continuousSince, ...begun].map((time) => parseMicroTime(time) ?? 0));
}

function parseList(text: string): unknown[] {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed.slice(0, MAX_STREAM_GAPS) : [];
  } catch {
    return [];
  }
}
