// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `timeline`: occurrences over time as bars.

import type { Colors } from "../render/colors.ts";
import { wrap } from "../render/columns.ts";
import { parseFilter, select } from "../reports/filter.ts";
import { type Bucket, spanOf, type Timeline, timelineOf, totalOf } from "../reports/occurrences-over-time.ts";
import { EXIT, type ExitCode, usageError } from "../reports/problem.ts";
import { violationsOf } from "../reports/report-view.ts";
import { count } from "../reports/sentences.ts";
import { parseDuration, tellMs } from "../reports/when.ts";
import type { Flags } from "./arguments.ts";
import { colorsOf, placeOf, reportsOf, type Session, scopeOf, wholeNumber } from "./session.ts";

const BUCKETS = "24";
const WIDTH = 100;
/** `2026-11-23 10:00:00 UTC  ` before a bar, the numbers behind it. */
const OTHER_CELLS = 62;

/** Prints one line per part of the time. */
export async function timeline(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal, clock } = session;
  const parts = wholeNumber("--buckets", flags.buckets ?? BUCKETS, 1, 500);
  const windowMs = flags.window === undefined ? undefined : parseDuration(flags.window);
  if (flags.window !== undefined && windowMs === undefined) {
    throw usageError(`--window "${flags.window}" is no duration: give 12h, 7d, 2w`);
  }
  const { found } = select(violationsOf(await reportsOf(session, flags)), parseFilter(flags, clock.nowMs()));
  const span =
    windowMs === undefined ? spanOf(found) : { fromMs: clock.nowMs() - windowMs, toMs: clock.nowMs() };
  if (span === undefined || found.length === 0) {
    terminal.err(`No violations found ${placeOf(scopeOf(flags, session))}.\n`);
    return EXIT.ok;
  }
  const bars = timelineOf(found, span.fromMs, span.toMs, parts);
  terminal.out(printed(bars, Math.min(terminal.columns ?? WIDTH, 160), colorsOf(session)));
  return EXIT.ok;
}

function printed({ buckets, unplaced }: Timeline, width: number, paint: Colors): string {
  const most = Math.max(1, ...buckets.map(totalOf));
  const cells = Math.max(10, width - OTHER_CELLS);
  const lines = buckets.map(
    (bucket) => `${tellMs(bucket.fromMs)}  ${bar(bucket, most, cells, paint)}  ${numbers(bucket)}`,
  );
  const note =
    unplaced === 0
      ? "Every occurrence is where it belongs."
      : `The numbers are at least: of ${count(unplaced, "more occurrence")} the reports tell only that they lie between ` +
        `the first and the last time of their violation. A line without a bar need not have been quiet.`;
  return `${lines.map((line) => `${line.trimEnd()}\n`).join("")}\n${wrap(note, width)}\n`;
}

function bar({ known }: Bucket, most: number, cells: number, paint: Colors): string {
  const length = (n: number) => (n === 0 ? 0 : Math.max(1, Math.round((n / most) * cells)));
  const allowed = "█".repeat(length(known.Allowed));
  const unknown = "▒".repeat(length(known.Unknown));
  const prevented = "░".repeat(length(known.Prevented));
  const blanks = " ".repeat(Math.max(0, cells - allowed.length - unknown.length - prevented.length));
  return (
    paint.outcome("Allowed", allowed) +
    paint.outcome("Unknown", unknown) +
    paint.outcome("Prevented", prevented) +
    blanks
  );
}

function numbers(bucket: Bucket): string {
  const { known, fresh } = bucket;
  const parts = [
    known.Allowed > 0 ? `${known.Allowed} allowed` : "",
    known.Unknown > 0 ? `${known.Unknown} unknown` : "",
    known.Prevented > 0 ? `${known.Prevented} prevented` : "",
    fresh > 0 ? `${fresh} new` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
