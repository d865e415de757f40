// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The charts of the audit page as SVG: scales, ticks and their words are d3's, colours are the page's style sheet's.
// Invariant: every chart has a title that tells it in words, and text from reports is escaped.

import { scaleLinear, scaleUtc } from "d3-scale";
import type { Outcome } from "../../../src/api/v1alpha1.ts";
import { shorten } from "../render/columns.ts";
import { markup } from "../render/escape.ts";
import { type Timeline, totalOf } from "../reports/occurrences-over-time.ts";
import { count as counted, grouped } from "../reports/sentences.ts";
import { tellMs } from "../reports/when.ts";
import type { Ranked } from "./audit-facts.ts";

/** From the bottom of a bar to its top, or from left to right. */
const STACK: readonly Outcome[] = ["Allowed", "Unknown", "Prevented"];

interface Size {
  width: number;
  height: number;
  /** Which screens it is for: the style sheet shows one of the two. */
  className: string;
}

const TIMELINE_SIZES: readonly Size[] = [
  { width: 960, height: 240, className: "wide" },
  { width: 340, height: 220, className: "narrow" },
];
const MARGIN = { left: 44, right: 12, top: 10, bottom: 26 };

/** Bars over time, once for wide screens and once for narrow ones, so that the words stay legible. */
export function timelineChart({ buckets }: Timeline): string {
  const from = buckets[0]?.fromMs ?? 0;
  const to = buckets.at(-1)?.toMs ?? 0;
  const most = Math.max(1, ...buckets.map(totalOf));
  const title = `Occurrences from ${tellMs(from)} to ${tellMs(to)}; at most ${grouped(most)} in one of ${buckets.length} parts.`;
  return TIMELINE_SIZES.map(({ width, height, className }) => {
    const x = scaleUtc([from, to], [MARGIN.left, width - MARGIN.right]);
    const y = scaleLinear([0, most], [height - MARGIN.bottom, MARGIN.top]).nice(4);
    const barWidth = Math.max(1, (width - MARGIN.left - MARGIN.right) / buckets.length - 1.5);
    const bars = buckets.flatMap(({ fromMs, known }) => {
      let base = 0;
      return STACK.flatMap((outcome) => {
        const count = known[outcome];
        if (count === 0) return [];
        const top = y(base + count);
        const bar = rect(x(fromMs), top, barWidth, y(base) - top, outcome);
        base += count;
        return [bar];
      });
    });
    const rows = y
      .ticks(4)
      .filter(Number.isInteger)
      .map((tick) => {
        const at = round(y(tick));
        return (
          `<line class="grid" x1="${MARGIN.left}" x2="${width - MARGIN.right}" y1="${at}" y2="${at}"/>` +
          `<text class="tick" x="${MARGIN.left - 6}" y="${round(at + 4)}" text-anchor="end">${y.tickFormat(4, "~s")(tick)}</text>`
        );
      });
    const ticks = width > 500 ? 7 : 3;
    const format = x.tickFormat(ticks, timeForm(to - from));
    const labels = x.ticks(ticks).map((tick) => {
      return `<text class="tick" x="${round(x(tick))}" y="${height - 8}" text-anchor="middle">${markup(format(tick))}</text>`;
    });
    return svg(width, height, className, title, [...rows, ...bars, ...labels].join(""));
  }).join("");
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** As the rest of the page writes times, on a clock of 24 hours: d3's own 09:30 is in the evening as well. */
function timeForm(spanMs: number): string {
  if (spanMs < 10 * MINUTE_MS) return "%H:%M:%S";
  if (spanMs < 1.5 * DAY_MS) return "%H:%M";
  if (spanMs < 8 * DAY_MS) return "%m-%d %H:%M";
  return "%Y-%m-%d";
}

const BAR = { width: 360, height: 30, thickness: 8 };

/** One bar per name, its label above it, so that a long name has the whole width. */
export function rankChart(ranked: readonly Ranked[], what: string): string {
  const total = ({ counts }: Ranked) => counts.Allowed + counts.Unknown + counts.Prevented;
  const most = Math.max(1, ...ranked.map(total));
  const x = scaleLinear([0, most], [0, BAR.width]);
  const rows = ranked.map((one, i) => {
    const top = i * BAR.height;
    let left = 0;
    const bars = STACK.map((outcome) => {
      const count = one.counts[outcome];
      if (count === 0) return "";
      const width = Math.max(2, x(count));
      const bar = rect(left, top + 17, width, BAR.thickness, outcome);
      left += width;
      return bar;
    });
    const number = grouped(total(one));
    const room = 54 - number.length;
    return (
      `<text class="label" x="0" y="${top + 13}">${markup(shorten(one.name, room))}</text>` +
      `<text class="label" x="${BAR.width}" y="${top + 13}" text-anchor="end">${number}</text>${bars.join("")}`
    );
  });
  const [first] = ranked;
  const title = first
    ? `${what}, the worst first: ${first.name} with ${counted(total(first), "occurrence")}.`
    : what;
  return svg(BAR.width, Math.max(1, ranked.length) * BAR.height, "", title, rows.join(""));
}

function rect(x: number, y: number, width: number, height: number, outcome: Outcome): string {
  return `<rect class="${outcome.toLowerCase()}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"/>`;
}

function svg(width: number, height: number, className: string, title: string, inner: string): string {
  const text = markup(title);
  return `<svg${className ? ` class="${className}"` : ""} viewBox="0 0 ${width} ${height}" role="img" aria-label="${text}">${inner}</svg>`;
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
