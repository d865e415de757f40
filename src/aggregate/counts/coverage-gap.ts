// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Coverage gaps: counts that are known to be missing, when, and why. Invariant: merging two lists is associative,
// commutative and idempotent, and the result is bounded; what leaves the list stays in the counts.

import type { CoverageGapEntry, CoverageGapKind } from "../../api/v1alpha1.ts";
import { type EpochUs, formatMicroTime, parseMicroTime } from "../../lib/time.ts";

/** The kinds that are times without reading for this report; each counts in `coverage.gaps`. */
export const GAP_KINDS = [
  "StreamDown",
  "StreamEnded",
  "NodeDown",
  "Stalled",
  "NotRunning",
  "Handover",
  "JournalUnavailable",
  "TransportLost",
] as const;
export type GapKind = (typeof GAP_KINDS)[number];

/** One gap. Two with the same kind, start and place are the same gap, known at two times. */
export interface CoverageGap {
  kind: CoverageGapKind;
  fromUs: EpochUs;
  /** Undefined while it lasts. */
  toUs: EpochUs | undefined;
  container: string;
  pod: string;
  node: string;
  /** Alerts that are missing; 0 where the number is unknown. */
  count: number;
  /** Nodes that were missing in it; 0 for other kinds, and while it lasts. */
  nodes: number;
}

/** Gaps that are listed, the newest; older ones are in the counts only. */
export const MAX_COVERAGE_GAPS = 10;

/** Creates a gap that starts at `fromUs` and does not end before it; all else is empty unless given. */
export function createCoverageGap(
  kind: CoverageGapKind,
  fromUs: EpochUs,
  details: Partial<Omit<CoverageGap, "kind" | "fromUs">> = {},
): CoverageGap {
  const toUs = details.toUs === undefined ? undefined : Math.max(fromUs, details.toUs);
  return { kind, fromUs, container: "", pod: "", node: "", count: 0, nodes: 0, ...details, toUs };
}

/** Returns the newest gaps of both lists, newest first; the newest deletion stays, because no counter has it. */
export function mergeCoverageGaps(a: readonly CoverageGap[], b: readonly CoverageGap[]): readonly CoverageGap[] {
  if (b.length === 0) return a;
  if (a.length === 0 && b.length === 1) return b;
  const known = new Map<string, CoverageGap>();
  for (const each of [...a, ...b]) {
    const key = toKey(each);
    const same = known.get(key);
    known.set(key, same ? mergeStates(same, each) : each);
  }
  const all = [...known.values()].sort(compareNewest);
  const deletion = all.findIndex(isDeletion);
  if (deletion < MAX_COVERAGE_GAPS) return all.slice(0, MAX_COVERAGE_GAPS);
  return [...all.slice(0, MAX_COVERAGE_GAPS - 1), ...all.slice(deletion, deletion + 1)];
}

/** True for two states of one gap that concerns the whole report. */
export function isSameGap(a: Pick<CoverageGap, "kind" | "fromUs">, b: Pick<CoverageGap, "kind" | "fromUs">): boolean {
  return a.kind === b.kind && a.fromUs === b.fromUs;
}

/** Returns how many times without reading are in `gaps` and not in `known`. */
export function countNewGaps(gaps: readonly CoverageGap[], known: readonly CoverageGap[]): number {
  const isKnown = (gap: CoverageGap) => known.some((other) => isSameGap(other, gap));
  return gaps.filter((gap) => isGapKind(gap.kind) && !isKnown(gap)).length;
}

/** True for a time without reading. */
export function isGapKind(kind: CoverageGapKind): kind is GapKind {
  return (GAP_KINDS as readonly string[]).includes(kind);
}

/** True if a report was deleted, with counts that no report has any more. */
export function isDeletion({ kind, count }: CoverageGap): boolean {
  return kind === "Deleted" && count > 0;
}

export function renderCoverageGap({
  kind,
  fromUs,
  toUs,
  container,
  pod,
  node,
  count,
  nodes,
}: CoverageGap): CoverageGapEntry {
  return {
    kind,
    from: formatMicroTime(fromUs),
    ...(toUs === undefined ? {} : { to: formatMicroTime(toUs), seconds: Math.ceil((toUs - fromUs) / 1_000_000) }),
    ...(container === "" ? {} : { container }),
    ...(pod === "" ? {} : { pod }),
    ...(node === "" ? {} : { node }),
    ...(count === 0 ? {} : { count }),
    ...(nodes === 0 ? {} : { nodes }),
  };
}

/** Reads back the output of renderCoverageGap; undefined without a time. */
export function parseCoverageGap(text: CoverageGapEntry): CoverageGap | undefined {
  const fromUs = parseMicroTime(text.from);
  if (fromUs === undefined) return undefined;
  const { kind, container = "", pod = "", node = "", count = 0, nodes = 0 } = text;
  return createCoverageGap(kind, fromUs, {
    toUs: text.to === undefined ? undefined : parseMicroTime(text.to),
    container,
    pod,
    node,
    count,
    nodes,
  });
}

/** Single losses of one kind form one gap; a quiet time of this length ends it. */
const QUIET_US = 60_000_000;

/** Gathers losses one by one, so that a flood of them is one gap with a count. */
export class GapBuilder {
  readonly #kind: CoverageGapKind;
  #coverageGap: CoverageGap | undefined;
  #isPending = false;

  constructor(kind: CoverageGapKind) {
    this.#kind = kind;
  }

  add(us: EpochUs, count = 1): void {
    const current = this.#coverageGap;
    if (!current || us > (current.toUs ?? current.fromUs) + QUIET_US) {
      this.#coverageGap = createCoverageGap(this.#kind, us, { toUs: us, count });
    } else {
      current.count += count;
      if (us > (current.toUs ?? us)) current.toUs = us;
    }
    this.#isPending = true;
  }

  /** Returns the gap if it has grown since it was last taken. */
  take(): readonly CoverageGap[] {
    if (!this.#isPending || !this.#coverageGap) return [];
    this.#isPending = false;
    return [{ ...this.#coverageGap }];
  }
}

function toKey({ kind, fromUs, container, pod, node }: CoverageGap): string {
  return [kind, fromUs, container, pod, node].join("\u001f");
}

/** Merges two states of one gap: it has ended if either says so, and the larger number is the later one. */
function mergeStates(a: CoverageGap, b: CoverageGap): CoverageGap {
  const toUs = a.toUs === undefined || b.toUs === undefined ? (a.toUs ?? b.toUs) : Math.max(a.toUs, b.toUs);
  return { ...a, toUs, count: Math.max(a.count, b.count), nodes: Math.max(a.nodes, b.nodes) };
}

function compareNewest(a: CoverageGap, b: CoverageGap): number {
  if (a.fromUs !== b.fromUs) return b.fromUs - a.fromUs;
  const [x, y] = [toKey(a), toKey(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}
