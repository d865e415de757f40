// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `timeline`: occurrences over time as bars.

import { wrap } from "../render/columns.ts";
import { parseFilter, select } from "../reports/filter.ts";
import { buildTimeline, type Part, sumCounts, type Timeline } from "../reports/occurrences-over-time.ts";
import { EXIT, type ExitCode } from "../reports/problem.ts";
import { listViolations } from "../reports/report-view.ts";
import { describeAccepted, describeCut, describeNone, describeUnseen } from "../reports/totals.ts";
import { formatMs, requireWindow } from "../reports/when.ts";
import { formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import type { Colors } from "../session/colors.ts";
import {
  describeScope,
  getColors,
  parseScope,
  parseWholeNumber,
  readCurrentReports,
  type Session,
} from "../session/session.ts";

const BUCKETS = "24";
const WIDTH = 100;
/** Cells for the time before a bar and the numbers after it. */
const OTHER_CELLS = 62;

/** Prints one line per part of the time. */
export async function runTimeline(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal, clock } = session;
  const parts = parseWholeNumber("--buckets", flags.buckets ?? BUCKETS, 1, 500);
  const windowMs = flags.window === undefined ? undefined : requireWindow(flags.window);
  const nowMs = clock.nowMs();
  const filter = parseFilter(flags, nowMs);
  const { reports, doubt, warn } = await readCurrentReports(session, flags);
  const unseen = describeUnseen(reports, filter, session.leftOut.size);
  const selection = select(reports, listViolations(reports), filter);
  const bars = buildTimeline(reports, selection, filter, {
    parts,
    ...(windowMs === undefined ? {} : { fromMs: nowMs - windowMs, toMs: nowMs }),
  });
  const place = describeScope(parseScope(flags, session), session.source);
  // Up to now, a part without a bar is the answer that nothing occurred in it.
  warn(bars === undefined || windowMs !== undefined);
  if (bars === undefined) {
    const { cut } = selection;
    const rest = [
      `${describeNone(selection, doubt === undefined ? unseen : [...unseen, doubt])} ${place}`,
      ...unseen,
      cut.length > 0 ? `${describeCut(cut)}, and may match` : "",
      describeAccepted(selection),
    ];
    for (const note of rest.filter((text) => text !== "")) terminal.err(`${formatSentence(note)}\n`);
    return EXIT.ok;
  }
  const width = Math.min(terminal.columns ?? WIDTH, 160);
  terminal.out(render(bars, width, getColors(session)));
  return EXIT.ok;
}

function render({ buckets, notes }: Timeline, width: number, paint: Colors): string {
  const most = Math.max(1, ...buckets.map(sumCounts));
  const cells = Math.max(10, width - OTHER_CELLS);
  const lines = buckets.map(
    (bucket) => `${formatMs(bucket.fromMs)}  ${renderBar(bucket, most, cells, paint)}  ${formatNumbers(bucket)}`,
  );
  const legend = "█ allowed  ▒ unknown  ░ prevented";
  return `${lines.map((line) => `${line.trimEnd()}\n`).join("")}\n${legend}\n${wrap(notes.join(" "), width)}\n`;
}

function renderBar({ counts }: Part, most: number, cells: number, paint: Colors): string {
  const length = (n: number) => (n === 0 ? 0 : Math.max(1, Math.round((n / most) * cells)));
  const allowed = "█".repeat(length(counts.Allowed));
  const unknown = "▒".repeat(length(counts.Unknown));
  const prevented = "░".repeat(length(counts.Prevented));
  const blanks = " ".repeat(Math.max(0, cells - allowed.length - unknown.length - prevented.length));
  return (
    paint.outcome("Allowed", allowed) +
    paint.outcome("Unknown", unknown) +
    paint.outcome("Prevented", prevented) +
    blanks
  );
}

function formatNumbers({ counts }: Part): string {
  const parts = [
    counts.Allowed > 0 ? `${counts.Allowed} allowed` : "",
    counts.Unknown > 0 ? `${counts.Unknown} unknown` : "",
    counts.Prevented > 0 ? `${counts.Prevented} prevented` : "",
  ];
  return parts.filter((part) => part !== "").join(", ");
}
