// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `top` and `list --watch`: what moves between two looks at the reports.
// Invariant: looks again only after the time asked for, and ends at once when told to.

import { type Column, layOut } from "../render/columns.ts";
import { plain } from "../render/escape.ts";
import { columnsFor } from "../render/violation-table.ts";
import { parseFilter, select } from "../reports/filter.ts";
import { EXIT, type ExitCode, usageError } from "../reports/problem.ts";
import { byWorst, compare, reportPath, type ViolationRef, violationsOf } from "../reports/report-view.ts";
import { count } from "../reports/sentences.ts";
import { parseDuration, tellMs } from "../reports/when.ts";
import type { Flags } from "./arguments.ts";
import { colorsOf, reportsOf, type Session, scopeOf } from "./session.ts";

const TOP_INTERVAL = "2s";
const WATCH_INTERVAL_MS = 5000;
const CLEAR = "\u001b[H\u001b[2J";
/** Lines of the screen that are not rows. */
const HEAD_LINES = 4;

/** One violation that moved. */
interface Moved {
  found: ViolationRef;
  /** Occurrences since the last look, and since the first. */
  now: number;
  since: number;
}

type Counts = Map<string, number>;

/** Shows what is happening now, until told to stop. */
export async function top(session: Session, flags: Flags): Promise<ExitCode> {
  const text = flags.interval ?? TOP_INTERVAL;
  const intervalMs = parseDuration(text);
  if (intervalMs === undefined || intervalMs < 1000) {
    throw usageError(`--interval "${plain(text)}" must be a duration of 1s or more`);
  }
  const { clock, signal, terminal } = session;
  let last = countsOf(await look(session, flags));
  const first = last;
  const startMs = clock.nowMs();
  if (terminal.isInteractive) {
    terminal.err(flags.once ? `looking again in ${text}\n` : `looking every ${text}; Ctrl-C ends\n`);
  }
  do {
    await clock.sleep(intervalMs, signal);
    if (signal.aborted) break;
    const found = await look(session, flags);
    const moved = movedSince(found, last, first);
    last = countsOf(found);
    terminal.out(screen(moved, session, flags, clock.nowMs() - startMs));
  } while (!flags.once);
  return EXIT.ok;
}

async function look(session: Session, flags: Flags): Promise<ViolationRef[]> {
  const filter = parseFilter(flags, session.clock.nowMs());
  return select(violationsOf(await reportsOf(session, flags)), filter).found;
}

function countsOf(found: readonly ViolationRef[]): Counts {
  return new Map(found.map((one) => [keyOf(one), one.violation.occurrences]));
}

function keyOf({ report, violation }: ViolationRef): string {
  return `${reportPath(report)}\u0000${violation.id}`;
}

function movedSince(found: readonly ViolationRef[], last: Counts, first: Counts): Moved[] {
  return found
    .map((one) => {
      const { occurrences } = one.violation;
      const key = keyOf(one);
      // A report that somebody deleted begins again below what it was.
      const grown = (was = 0) => (occurrences >= was ? occurrences - was : occurrences);
      return { found: one, now: grown(last.get(key)), since: grown(first.get(key)) };
    })
    .filter(({ since }) => since > 0)
    .sort((a, b) => b.now - a.now || b.since - a.since || compare(keyOf(a.found), keyOf(b.found)));
}

function screen(moved: readonly Moved[], session: Session, flags: Flags, elapsedMs: number): string {
  const { terminal, clock } = session;
  const seconds = Math.max(1, Math.round(elapsedMs / 1000));
  const total = moved.reduce((sum, { since }) => sum + since, 0);
  const head = `${tellMs(clock.nowMs())}   ${count(total, "occurrence")} of ${count(moved.length, "violation")} in ${seconds} s\n\n`;
  const all = scopeOf(flags, session).namespace === undefined;
  const rest = columnsFor({ all, isWide: false, nowMs: clock.nowMs(), paint: colorsOf(session) });
  const columns: Column<Moved>[] = [
    { title: "NOW", cell: ({ now }) => (now === 0 ? "" : `+${now}`), align: "right" },
    { title: "/MIN", cell: ({ since }) => ((since * 60) / seconds).toFixed(1), align: "right" },
    ...rest.map((column): Column<Moved> => {
      const { style } = column;
      return {
        ...column,
        cell: ({ found }) => column.cell(found),
        ...(style ? { style: (text: string, { found }: Moved) => style(text, found) } : {}),
      } as Column<Moved>;
    }),
  ];
  const shown = terminal.rows === undefined ? moved : moved.slice(0, Math.max(1, terminal.rows - HEAD_LINES));
  const body = shown.length === 0 ? "Nothing new.\n" : layOut(columns, shown, terminal.columns);
  const isLive = terminal.isInteractive && !flags.once;
  return isLive ? `${CLEAR}${head}${body}` : `${head}${body}\n`;
}

/** Prints what is new or has moved, one line each, until told to stop; the caller has printed the table. */
export async function watchList(
  session: Session,
  flags: Flags,
  shown: readonly ViolationRef[],
): Promise<ExitCode> {
  const { clock, signal, terminal } = session;
  let last = countsOf(shown);
  for (;;) {
    await clock.sleep(WATCH_INTERVAL_MS, signal);
    if (signal.aborted) return EXIT.ok;
    const found = await look(session, flags);
    const moved = found.filter((one) => last.get(keyOf(one)) !== one.violation.occurrences).sort(byWorst);
    last = countsOf(found);
    if (moved.length === 0) continue;
    const all = scopeOf(flags, session).namespace === undefined;
    const isWide = flags.output === "wide";
    const columns = columnsFor({ all, isWide, nowMs: clock.nowMs(), paint: colorsOf(session) });
    const table = layOut(columns, moved, isWide ? undefined : terminal.columns);
    terminal.out(table.slice(table.indexOf("\n") + 1));
  }
}
