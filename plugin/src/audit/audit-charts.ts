// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The charts of the audit page as SVG: scales and ticks are d3's, colors the style sheet's.
// Invariant: every chart has a title that says it in words.

import { scaleLinear, scaleUtc } from "d3-scale";
import type { VNode } from "preact";
import type { Outcome } from "../../../src/api/v1alpha1.ts";
import { measureWidth, truncate } from "../render/columns.ts";
import { type Child, el } from "../render/markup.ts";
import { sumCounts, type Timeline } from "../reports/occurrences-over-time.ts";
import { formatMs } from "../reports/when.ts";
import { formatCount, formatNumber } from "../reports/words.ts";
import { plain } from "../text/escape.ts";
import type { Ranked } from "./audit-facts.ts";

/** From the bottom of a bar to its top, or from left to right. */
const STACK: readonly Outcome[] = ["Allowed", "Unknown", "Prevented"];

interface Size {
  width: number;
  height: number;
  /** The style sheet shows the one that fits the screen. */
  className: string;
}

const TIMELINE_SIZES: readonly Size[] = [
  { width: 960, height: 240, className: "wide" },
  { width: 340, height: 220, className: "narrow" },
];
/** Width of a character of a label, with the space between labels. */
const LABEL_CHARACTER = 7.5;
const MARGIN = { left: 44, right: 12, top: 10, bottom: 26 };

/** Bars over time, once for wide screens and once for narrow ones, so that the words stay legible. */
export function renderTimelineChart({ buckets }: Timeline): VNode[] {
  const from = buckets[0]?.fromMs ?? 0;
  const to = buckets.at(-1)?.toMs ?? 0;
  const most = Math.max(1, ...buckets.map(sumCounts));
  const title = `Occurrences from ${formatMs(from)} to ${formatMs(to)}; at most ${formatNumber(most)} in one of ${buckets.length} parts.`;
  return TIMELINE_SIZES.map(({ width, height, className }) => {
    const x = scaleUtc([from, to], [MARGIN.left, width - MARGIN.right]);
    const y = scaleLinear([0, most], [height - MARGIN.bottom, MARGIN.top]).nice(4);
    const barWidth = Math.max(1, (width - MARGIN.left - MARGIN.right) / buckets.length - 1.5);
    const bars = buckets.flatMap(({ fromMs, counts }) => {
      let base = 0;
      return STACK.flatMap((outcome) => {
        const count = counts[outcome];
        if (count === 0) return [];
        const top = y(base + count);
        const bar = createRect(x(fromMs), top, barWidth, y(base) - top, outcome);
        base += count;
        return [bar];
      });
    });
    const rows = y
      .ticks(4)
      .filter(Number.isInteger)
      .flatMap((tick) => {
        const at = round(y(tick));
        const right = width - MARGIN.right;
        return [
          el("line", { class: "grid", x1: MARGIN.left, x2: right, y1: at, y2: at }),
          createLabel("tick", MARGIN.left - 6, at + 4, "end", tick === 0 ? "0" : y.tickFormat(4, "~s")(tick)),
        ];
      });
    const ticks = width > 500 ? 7 : 3;
    const format = x.tickFormat(ticks, selectTimeFormat(to - from));
    const texts = x.ticks(ticks).map((tick) => [x(tick), format(tick)] as const);
    // d3 may give more ticks than asked for.
    const room = (width - MARGIN.left) / (LABEL_CHARACTER * Math.max(1, ...texts.map(([, text]) => text.length)));
    const every = Math.max(1, Math.ceil(texts.length / room));
    const labels = texts
      .filter((_, i) => i % every === 0)
      .map(([at, text]) => {
        const half = (text.length * LABEL_CHARACTER) / 2;
        return createLabel("tick", Math.min(at, width - half), height - 8, "middle", text);
      });
    return createSvg(width, height, className, title, [...rows, ...bars, ...labels]);
  });
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** As the rest of the page writes times; d3's own 09:30 is in the evening as well. */
function selectTimeFormat(spanMs: number): string {
  if (spanMs < 10 * MINUTE_MS) return "%H:%M:%S";
  if (spanMs < 1.5 * DAY_MS) return "%H:%M";
  if (spanMs < 8 * DAY_MS) return "%m-%d %H:%M";
  return "%Y-%m-%d";
}

const BAR = { width: 360, height: 30, thickness: 8 };

/** One bar per name, its label above it, so that a long name has the whole width. */
export function rankChart(ranked: readonly Ranked[], what: string): VNode {
  const total = ({ counts }: Ranked) => counts.Allowed + counts.Unknown + counts.Prevented;
  const most = Math.max(1, ...ranked.map(total));
  const x = scaleLinear([0, most], [0, BAR.width]);
  const rows = ranked.flatMap((one, i) => {
    const top = i * BAR.height;
    let left = 0;
    const bars = STACK.flatMap((outcome) => {
      const count = one.counts[outcome];
      if (count === 0) return [];
      const width = Math.max(2, x(count));
      const bar = createRect(left, top + 17, width, BAR.thickness, outcome);
      left += width;
      return [bar];
    });
    const number = formatNumber(total(one));
    return [
      createLabel("label", 0, top + 13, "start", fitName(plain(one.name), 54 - number.length)),
      createLabel("label", BAR.width, top + 13, "end", number),
      ...bars,
    ];
  });
  const [first] = ranked;
  const title = first
    ? `${what}, the worst first: ${first.name} with ${formatCount(total(first), "occurrence")}.`
    : what;
  return createSvg(BAR.width, Math.max(1, ranked.length) * BAR.height, "", title, rows);
}

const NAMESPACE_CELLS = 18;

/** Cuts a long namespace before the name behind it. */
function fitName(name: string, cells: number): string {
  const at = name.indexOf("/");
  if (at < 0 || measureWidth(name) <= cells) return truncate(name, cells);
  return truncate(truncate(name.slice(0, at), NAMESPACE_CELLS) + name.slice(at), cells);
}

/** A square in the color of an outcome, for the legend. */
export function renderSwatch(name: string): VNode {
  return el("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, el("rect", { class: name, width: 12, height: 12 }));
}

function createRect(x: number, y: number, width: number, height: number, outcome: Outcome): VNode {
  const className = outcome.toLowerCase();
  return el("rect", { class: className, x: round(x), y: round(y), width: round(width), height: round(height) });
}

function createLabel(className: string, x: number, y: number, anchor: string, text: string): VNode {
  return el("text", { class: className, x: round(x), y: round(y), "text-anchor": anchor }, text);
}

function createSvg(width: number, height: number, className: string, title: string, inner: readonly Child[]): VNode {
  const attributes = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title };
  return el("svg", className === "" ? attributes : { class: className, ...attributes }, ...inner);
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
