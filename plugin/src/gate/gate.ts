// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `gate`: whether a pipeline may go on. What shuts the gate: a violation that nobody accepted and nobody knew.
// Invariant: what could not be found out never opens the gate.

import { existsSync } from "node:fs";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Flags } from "../commands/arguments.ts";
import { colorsOf, reportsOf, type Session, scopeOf } from "../commands/session.ts";
import { readDirectory } from "../export/export-directory.ts";
import { layOut } from "../render/columns.ts";
import { plain, plainData } from "../render/escape.ts";
import { columnsFor, rowOf } from "../render/violation-table.ts";
import { type Filter, parseFilter } from "../reports/filter.ts";
import { tellHeartbeat } from "../reports/heartbeat.ts";
import { EXIT, type ExitCode, PluginError, usageError } from "../reports/problem.ts";
import { byWorst, recentGaps, reportPath, type ViolationRef, violationsOf } from "../reports/report-view.ts";
import { count } from "../reports/sentences.ts";
import { msOf, parseDuration, parseSince } from "../reports/when.ts";
import { junit } from "./gate-junit.ts";
import { sarif } from "./gate-sarif.ts";
import type { Verdict } from "./gate-verdict.ts";

type Printer = (verdict: Verdict, session: Session, flags: Flags) => string;

/** How often --wait looks again. */
const LOOK_MS = 2000;

const PRINTERS: Readonly<Record<string, Printer>> = {
  text: asText,
  json: asJson,
  junit: (verdict) => junit(verdict),
  sarif: (verdict) => sarif(verdict),
};

/** Prints the verdict; 0 when the gate is open, 1 when it is shut. */
export async function gate(session: Session, flags: Flags): Promise<ExitCode> {
  const form = flags.output ?? "text";
  const printer = PRINTERS[form];
  if (!printer)
    throw usageError(`-o "${plain(form)}" is no form: it must be ${Object.keys(PRINTERS).join(", ")}`);
  const filter = parseFilter(flags, session.clock.nowMs());
  const known = flags.baseline === undefined ? new Set<string>() : await knownIn(flags.baseline);
  const verdict = await waitFor(session, flags, async () =>
    judge(await reportsOf(session, flags), filter, known),
  );
  await requireHeartbeat(verdict, session);
  if (flags.requireCoverage) requireCoverage(verdict.reports, flags, session.clock.nowMs());
  else noteCoverage(verdict.reports, session);
  session.terminal.out(printer(verdict, session, flags));
  return verdict.shut.length === 0 ? EXIT.ok : EXIT.no;
}

/** An acceptance, or a deed that is being mended, takes a moment to reach the reports. */
async function waitFor(session: Session, flags: Flags, look: () => Promise<Verdict>): Promise<Verdict> {
  const { clock, signal } = session;
  const waitMs = flags.wait === undefined ? 0 : parseDuration(flags.wait);
  if (waitMs === undefined)
    throw usageError(`--wait "${plain(flags.wait ?? "")}" is no duration: give 30s, 5m`);
  const endMs = clock.nowMs() + waitMs;
  for (;;) {
    const verdict = await look();
    const leftMs = endMs - clock.nowMs();
    if (verdict.shut.length === 0 || leftMs <= 0 || signal.aborted) return verdict;
    await clock.sleep(Math.min(LOOK_MS, leftMs), signal);
  }
}

/** Reports in which nothing is new because nobody counts must not open the gate. */
async function requireHeartbeat({ shut }: Verdict, { source, clock, terminal }: Session): Promise<void> {
  const beat = await source.heartbeat?.(clock.nowMs());
  const told = beat && tellHeartbeat(beat);
  if (told === undefined) return;
  if (beat?.state === "silent" && shut.length === 0) {
    throw new PluginError(EXIT.failed, `${told}. The gate stays shut.`);
  }
  terminal.err(`note: ${told}\n`);
}

/** Sorts what the filter lets through into what shuts the gate and what does not. */
export function judge(reports: readonly Report[], filter: Filter, known: ReadonlySet<string>): Verdict {
  const verdict: Verdict = { reports, shut: [], accepted: [], known: [] };
  for (const found of violationsOf(reports).filter(filter.matches).sort(byWorst)) {
    if (found.accepted !== undefined) verdict.accepted.push(found);
    else if (known.has(keyOf(found))) verdict.known.push(found);
    else verdict.shut.push(found);
  }
  return verdict;
}

function keyOf({ report, violation }: ViolationRef): string {
  return `${reportPath(report)}\u0000${violation.id}`;
}

async function knownIn(directory: string): Promise<Set<string>> {
  if (!existsSync(directory)) {
    throw usageError(
      `--baseline ${directory} is not there: write it with \`kubectl violations export --out ${directory}\``,
    );
  }
  const { reports, others } = await readDirectory(directory);
  if (reports.length === 0 && others.length > 0) {
    throw usageError(
      `--baseline ${directory} holds no reports (but ${others.slice(0, 3).map(plain).join(", ")})`,
    );
  }
  return new Set(violationsOf(reports.map(({ report }) => report)).map(keyOf));
}

/** An open gate is only worth something while somebody was looking. */
function requireCoverage(reports: readonly Report[], flags: Flags, nowMs: number): void {
  const sinceText = flags.since ?? (flags.new ? "24h" : undefined);
  const fromMs = sinceText === undefined ? 0 : parseSince(sinceText, nowMs, "--since");
  const uncovered = reports.filter((report) => hasGapSince(report, fromMs));
  if (uncovered.length > 0) {
    const some = uncovered.slice(0, 3).map((report) => plain(reportPath(report)));
    throw new PluginError(
      EXIT.failed,
      `alerts may have been missed in the time looked at: ${count(uncovered.length, "report")} (${some.join(", ")}` +
        `${uncovered.length > 3 ? ", …" : ""}); \`kubectl violations explain\` tells why. The gate stays shut.`,
    );
  }
  if (reports.length === 0) {
    throw new PluginError(
      EXIT.failed,
      "there is no report at all, so nothing shows that anybody is looking: is the operator running? The gate stays shut.",
    );
  }
}

function noteCoverage(reports: readonly Report[], { terminal }: Session): void {
  const doubtful = reports.filter(
    ({ coverage, omitted }) => coverage.lowerBound || omitted !== undefined,
  ).length;
  if (doubtful === 0) return;
  const has = doubtful === 1 ? "does" : "do";
  terminal.err(
    `note: ${count(doubtful, "report")} ${has} not hold everything; --require-coverage shuts the gate for that\n`,
  );
}

function hasGapSince(report: Report, fromMs: number): boolean {
  // What was cut from the list can't be looked at.
  if (report.omitted) return true;
  const { lowerBound, gaps, throttleNotices, rejected = 0, withoutDetails = 0 } = report.coverage;
  if (!lowerBound) return false;
  const recent = recentGaps(report);
  // A list that does not hold all of them says nothing of those that it leaves out, but that they are older.
  const isWhole = recent.length >= gaps + throttleNotices + rejected + withoutDetails;
  const oldest = recent.at(-1);
  const reachesBack = oldest !== undefined && msOf(oldest.from) < fromMs;
  return recent.some(({ to }) => to === undefined || msOf(to) >= fromMs) || !(isWhole || reachesBack);
}

function asText(verdict: Verdict, session: Session, flags: Flags): string {
  const { shut, accepted, known, reports } = verdict;
  const paint = colorsOf(session);
  const passed = [
    accepted.length > 0 ? `${accepted.length} accepted` : "",
    known.length > 0 ? `${known.length} known from ${plain(flags.baseline ?? "")}` : "",
  ].filter((part) => part !== "");
  const notes = passed.length > 0 ? ` (passed over: ${passed.join(", ")})` : "";
  if (shut.length === 0) {
    return `${paint.bold("OPEN")}: nothing in ${count(reports.length, "report")} shuts the gate${notes}\n`;
  }
  const all = scopeOf(flags, session).namespace === undefined;
  const columns = columnsFor({ all, isWide: false, nowMs: session.clock.nowMs(), paint });
  return (
    `${paint.bold("SHUT")}: ${count(shut.length, "violation")} that nobody accepted${notes}\n\n` +
    layOut(columns, shut, session.terminal.columns)
  );
}

function asJson({ shut, accepted, known }: Verdict): string {
  const data = {
    open: shut.length === 0,
    violations: shut.map(rowOf),
    passedOver: { accepted: accepted.map(rowOf), known: known.map(rowOf) },
  };
  return `${JSON.stringify(plainData(data), null, 2)}\n`;
}
