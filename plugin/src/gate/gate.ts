// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `gate`: lets a pipeline go on or stops it.
// Invariant: fails closed. What can't be found out is exit code 3, in every output form.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { type Filter, parseFilter, parsePolicy } from "../reports/filter.ts";
import { describeHeartbeat } from "../reports/heartbeat.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import { describeGap, findLastingGap, listRecentGaps } from "../reports/sentences.ts";
import { readDirectory, requireWhole } from "../reports/sources/directory-reports.ts";
import type { ReportFilterScope } from "../reports/sources/report-source.ts";
import { nameReports } from "../reports/totals.ts";
import { formatMs, requireDuration, toMs } from "../reports/when.ts";
import { formatCount } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { describeScope, describeSnapshot, parseScope, readReports, type Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { renderJunit } from "./gate-junit.ts";
import { renderSarif } from "./gate-sarif.ts";
import { renderJson, renderText } from "./gate-text.ts";
import { type Baseline, createBaseline, getDecision, judge, type Verdict } from "./gate-verdict.ts";

type Renderer = (verdict: Verdict, session: Session, flags: Flags) => string;

/** Pause between two looks of --wait. */
const LOOK_MS = 2000;

const RENDERERS: Readonly<Record<string, Renderer>> = {
  text: renderText,
  json: renderJson,
  junit: renderJunit,
  sarif: renderSarif,
};

const EXITS = { PASSED: EXIT.ok, FAILED: EXIT.no, UNKNOWN: EXIT.failed } as const;

/** Prints the verdict; 0 for PASSED, 1 for FAILED, 3 for UNKNOWN. */
export async function runGate(session: Session, flags: Flags): Promise<ExitCode> {
  const form = flags.output ?? "text";
  const render = RENDERERS[form];
  if (!render) {
    throw createUsageError(
      `invalid value "${plain(form)}" for -o: expected one of ${Object.keys(RENDERERS).join(", ")}.`,
    );
  }
  const filterFlags = parseGateFlags(flags);
  const filter = parseFilter(filterFlags, session.clock.nowMs());
  const waitMs = flags.wait === undefined ? 0 : requireDuration(flags.wait, "--wait");
  const verdict = await look(session, flags, filter, filterFlags, waitMs);
  session.terminal.out(render(verdict, session, flags));
  const decision = getDecision(verdict);
  // The document of a FAILED gate has no room for what else is unknown.
  if (decision === "FAILED") for (const why of verdict.unknown) session.terminal.err(`note: ${why}.\n`);
  if (decision === "UNKNOWN" && form !== "text") {
    session.terminal.err(`error: ${verdict.unknown.join("; ")}. The gate does not pass.\n`);
  }
  return EXITS[decision];
}

/** By default the gate looks at what was allowed, or may have been, and is new. */
function parseGateFlags(flags: Flags): Flags {
  const { all, since, baseline } = flags;
  const isChosen = all || since !== undefined || baseline !== undefined;
  return { ...flags, outcome: flags.outcome ?? (all ? "any" : "allowed,unknown"), new: flags.new ?? !isChosen };
}

async function look(
  session: Session,
  flags: Flags,
  filter: Filter,
  filterFlags: Flags,
  waitMs: number,
): Promise<Verdict> {
  const { clock, signal, source } = session;
  const scope = parseScope(flags, session);
  const place = describeScope(scope, source);
  const snapshot = source.isSnapshot ? describeSnapshot(source) : undefined;
  const describe = (reports: readonly Report[]) => ({
    lookedAt: describeLook(reports, filter, filterFlags, place),
    snapshot,
  });
  const isNamed = flags.policy === undefined ? () => true : parsePolicy(flags.policy);
  const endMs = clock.nowMs() + waitMs;
  try {
    const baseline = flags.baseline === undefined ? undefined : await readBaseline(flags.baseline, scope);
    for (;;) {
      const all = await readReports(session, flags);
      const reports = all.filter(isNamed);
      const nowMs = clock.nowMs();
      const verdict = judge(reports, filter, baseline, describe(reports));
      if (session.leftOut.size > 0) {
        verdict.unknown.push(`${formatCount(session.leftOut.size, "report")} could not be read`);
      }
      if (scope.namespace !== undefined && all.length === 0) {
        const doubt = await source.doubtNamespace?.(scope.namespace);
        if (doubt !== undefined) verdict.unknown.push(doubt);
      }
      const beat = await source.heartbeat?.(nowMs);
      const doubt = beat && describeHeartbeat(beat);
      const gap = findLastingGap(all);
      // A report says more of the gap than the Lease.
      if (doubt !== undefined && !(gap && beat?.state === "cutOff")) verdict.unknown.push(doubt);
      if (gap !== undefined) {
        const are = source.isSnapshot ? "were missing" : "are missing now";
        verdict.unknown.push(`alerts ${are}: ${describeGap(gap).replace(/\.$/, "")}`);
      }
      if (flags.requireCoverage) verdict.unknown.push(...findMissingCoverage(reports, filter));
      const leftMs = endMs - nowMs;
      if (getDecision(verdict) === "PASSED" || leftMs <= 0 || signal.aborted) return verdict;
      await clock.sleep(Math.min(LOOK_MS, leftMs), signal);
    }
  } catch (error) {
    if (!(error instanceof PluginError) || error.exit !== EXIT.failed) throw error;
    return { ...judge([], filter, undefined, describe([])), unknown: [error.message.replace(/\.$/, "")] };
  }
}

async function readBaseline(directory: string, { namespace }: ReportFilterScope): Promise<Baseline> {
  const content = await readDirectory(directory);
  if (content.reports.length === 0 && content.unread.length === 0) {
    const { others } = content;
    const but =
      others.length === 0
        ? "is empty or does not exist"
        : `holds no reports (but ${others.slice(0, 3).map(plain).join(", ")})`;
    throw createUsageError(
      `--baseline ${plain(directory)} ${but}: write it with \`kubectl violations export --out ${plain(directory)}\`.`,
    );
  }
  requireWhole(directory, content);
  const reports = content.reports.map(({ report }) => report);
  return createBaseline(reports.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace));
}

function describeLook(
  reports: readonly Report[],
  { outcomes, fromMs, isNew }: Filter,
  flags: Flags,
  place: string,
): string {
  const parts = [
    outcomes.length === 3 ? "any outcome" : `outcome ${outcomes.map((one) => one.toLowerCase()).join(" or ")}`,
    fromMs === undefined ? "of any age" : `${isNew ? "first" : "last"} seen since ${formatMs(fromMs)}`,
    ...(["severity", "policy", "workload", "pod", "node", "container", "tag", "selector"] as const).flatMap((name) => {
      const value = flags[name];
      if (value === undefined) return [];
      return [name === "severity" ? `severity ${value} or worse` : `${name} ${plain(value)}`];
    }),
    ...(flags.baseline === undefined ? [] : [`not in ${plain(flags.baseline)}`]),
  ];
  return `${formatCount(reports.length, "report")} ${place}: ${parts.join(", ")}`;
}

function findMissingCoverage(reports: readonly Report[], { fromMs = 0 }: Filter): string[] {
  if (reports.length === 0) return ["there is no report, so nothing shows that alerts arrive"];
  const uncovered = reports.filter((report) => report.omitted !== undefined || hasGapSince(report, fromMs));
  if (uncovered.length === 0) return [];
  return [
    `alerts may have been missed in the time looked at: ${formatCount(uncovered.length, "report")} ` +
      `(${nameReports(uncovered)}); \`kubectl violations explain\` says why`,
  ];
}

function hasGapSince(report: Report, fromMs: number): boolean {
  const { lowerBound, gaps, throttleNotices, rejected = 0, withoutDetails = 0 } = report.coverage;
  if (!lowerBound) return false;
  const recent = listRecentGaps(report);
  // Gaps beyond the list are older than its oldest entry.
  const isWhole = recent.length >= gaps + throttleNotices + rejected + withoutDetails;
  const oldest = recent.at(-1);
  const reachesBack = oldest !== undefined && toMs(oldest.from) < fromMs;
  return recent.some(({ to }) => to === undefined || toMs(to) >= fromMs) || !(isWhole || reachesBack);
}
