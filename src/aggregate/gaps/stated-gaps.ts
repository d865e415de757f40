// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Gaps of the stream that are over, stated once for all reports, on the Lease: a report gets them with its next write.
// Invariant: a gap that a report may lack is in the list, or in a longer one of the list.

import { type EpochUs, formatMicroTime } from "../../lib/time.ts";
import {
  type CoverageGap,
  createCoverageGap,
  type GapKind,
  isGapKind,
  isSameGap,
  MAX_COVERAGE_GAPS,
  parseCoverageGap,
  renderCoverageGap,
} from "../counts/coverage-gap.ts";
import { MAX_STREAM_GAPS, type StreamGapEntry } from "./stream-gap-text.ts";

/** A gap that is over. */
export interface StatedGap extends CoverageGap {
  kind: GapKind;
  toUs: EpochUs;
}

/** All reports have a gap many times sooner, but those that are refused. By monotonic time: a clock may be set. */
const KEPT_MS = 86_400_000;

/** When it was added is by monotonic time. */
interface Added {
  gap: StatedGap;
  addedMs: number;
}

export class StatedGaps {
  /** The newest first. */
  #all: Added[] = [];
  /** Gaps that became part of another one at the bound. */
  overflows = 0;

  get size(): number {
    return this.#all.length;
  }

  get list(): StatedGap[] {
    return this.#all.map(({ gap }) => gap);
  }

  /** Drops the gaps that were added a day before monotonic time `persistedMs`: everything from before it is in reports. */
  expire(persistedMs: number): void {
    this.#all = this.#all.filter(({ addedMs }) => persistedMs - addedMs < KEPT_MS);
  }

  /** Adds a gap at monotonic time `nowMs`. */
  add(gap: StatedGap, nowMs: number): void {
    if (this.#all.some(({ gap: known }) => isSameGap(known, gap))) return;
    this.#all = [...this.#all, { gap, addedMs: nowMs }].sort((a, b) => b.gap.fromUs - a.gap.fromUs);
    if (this.#all.length <= MAX_STREAM_GAPS) return;
    // The two oldest become one.
    const [newer, oldest] = this.#all.splice(-2) as [Added, Added];
    const toUs = Math.max(newer.gap.toUs, oldest.gap.toUs);
    this.#all.push({ gap: { ...oldest.gap, toUs }, addedMs: Math.max(newer.addedMs, oldest.addedMs) });
    this.overflows++;
  }
}

/** Creates a gap that is over. */
export function createStatedGap(kind: GapKind, fromUs: EpochUs, toUs: EpochUs, nodes = 0): StatedGap {
  return { ...createCoverageGap(kind, fromUs, { nodes }), kind, toUs };
}

/** Renders gaps for the Lease. */
export function renderStated(gaps: readonly StatedGap[]): StreamGapEntry[] {
  return gaps.map((gap) => ({ ...renderCoverageGap(gap), to: formatMicroTime(gap.toUs) }));
}

/** Reads back the output of renderStated. */
export function parseStated(entries: readonly StreamGapEntry[]): StatedGap[] {
  const gaps = entries.map(parseCoverageGap);
  return gaps.filter((gap): gap is StatedGap => gap?.toUs !== undefined && isGapKind(gap.kind));
}

/** True where a report that lists `known` has the gap, or is full of newer ones and may have left it out. */
export function hasGap(known: readonly CoverageGap[], gap: StatedGap): boolean {
  const isFull = known.length >= MAX_COVERAGE_GAPS && known.every(({ fromUs }) => fromUs > gap.fromUs);
  // At the bound of the list a gap continues to the end of the next one.
  const isWhole = ({ toUs = Number.POSITIVE_INFINITY }: CoverageGap) => toUs >= gap.toUs;
  return isFull || known.some((other) => isSameGap(other, gap) && isWhole(other));
}
