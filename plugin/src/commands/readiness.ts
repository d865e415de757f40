// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `readiness`: checks if a policy can go from audit to block, by what blocking would have stopped.
// Invariant: "ready" needs a time without a known gap, a whole list and a running operator.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { formatDuration } from "../../../src/lib/quantity.ts";
import { formatAge } from "../../../src/lib/time.ts";
import { type Column, layOut, wrap } from "../render/columns.ts";
import { countUnlisted } from "../reports/filter.ts";
import { readHistorySince, type Span } from "../reports/history.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import { compareWorst, formatTitle, listViolations, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { describeGap, findLastingGap, type Gap, getWholeSince, isUnenforced } from "../reports/sentences.ts";
import { describeExpired } from "../reports/totals.ts";
import { formatMs, requireWindow, toMs } from "../reports/when.ts";
import { formatCount, formatSentence, formatWorkload } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import {
  checkHeartbeat,
  describeScope,
  parseLimit,
  parseScope,
  readReports,
  type Session,
} from "../session/session.ts";
import { escapeData, plain } from "../text/escape.ts";
import { toYaml } from "./output-forms.ts";

export type Readiness = "ready" | "not ready" | "unknown" | "blocks already";

export interface Assessment {
  policy: string;
  namespace: string | undefined;
  verdict: Readiness;
  reasons: string[];
  /** Listed violations that blocking would have stopped in the time looked at, worst first. */
  wouldStop: ViolationRef[];
  /** True when there may be more than those of `wouldStop`. */
  isAtLeast: boolean;
}

const WINDOW = "7d";
const FORMS = ["json", "yaml"];
const DAY_MS = 86_400_000;

/** Assesses one policy, or all that have reports. */
export async function runReadiness(session: Session, policy: string | undefined, flags: Flags): Promise<ExitCode> {
  const windowMs = requireWindow(flags.window ?? WINDOW);
  if (flags.output !== undefined && !FORMS.includes(flags.output)) {
    throw createUsageError(`invalid value "${plain(flags.output)}" for -o: expected json or yaml.`);
  }
  const limit = parseLimit(flags, session);
  const reports = await readReports(session, flags);
  const selected = policy === undefined ? reports : reports.filter((one) => isNamed(one, policy));
  const beat = await checkHeartbeat(session);
  if (selected.length === 0) {
    const what = policy === undefined ? "report" : `report of a policy "${plain(policy)}"`;
    throw new PluginError(
      EXIT.failed,
      `there is no ${what} ${describeScope(parseScope(flags, session), session.source)}: nothing violated it in the time that reports ` +
        "are kept, its alerts were not counted, or it does not exist, selects nothing, or does not audit. Check it with `kubectl get ksp,csp,hsp -A`.",
    );
  }
  const nowMs = session.clock.nowMs();
  const look: Look = {
    nowMs,
    fromMs: nowMs - windowMs,
    wholeSinceMs: getWholeSince(reports),
    lastingGap: findLastingGap(reports),
    isCounting: beat?.state === "alive",
    isCutOff: beat?.state === "cutOff",
    isSnapshot: session.source.isSnapshot === true,
  };
  const found = selected.map((report) => checkReadiness(report, look)).sort(compareVerdicts);
  session.terminal.out(render(found, flags, session, look, limit));
  const more = found.length - limit;
  if (more > 0) session.terminal.err(`${formatCount(more, "more report")}; --limit 0 shows all.\n`);
  if (found.some(({ verdict }) => verdict === "not ready")) return EXIT.no;
  return found.some(({ verdict }) => verdict === "unknown") ? EXIT.failed : EXIT.ok;
}

function isNamed({ policy, metadata }: Report, name: string): boolean {
  return policy.name === name || metadata.name === name || reportPath({ metadata }) === name;
}

export interface Look {
  nowMs: number;
  fromMs: number;
  /** Start of the time without a known gap; undefined when that is unknown. */
  wholeSinceMs: number | undefined;
  lastingGap: Gap | undefined;
  /** False when the operator may not be running. */
  isCounting: boolean;
  /** The operator runs, and alerts may not reach it. */
  isCutOff: boolean;
  /** The reports are files, which show the past only. */
  isSnapshot: boolean;
}

export function checkReadiness(report: Report, look: Look): Assessment {
  const passed = listViolations([report])
    .filter(({ violation }) => violation.outcome !== "Prevented")
    .sort(compareWorst);
  const wouldStop = passed.filter(({ violation }) => toMs(violation.lastSeen) >= look.fromMs);
  const hidden = countHidden(report, look.fromMs);
  const base = { policy: report.policy.name, namespace: report.metadata.namespace, wouldStop, isAtLeast: hidden !== 0 };
  const days = formatDays(look.nowMs - look.fromMs);
  // Listed violations had at least one occurrence in the time each.
  const isCertain = hidden !== undefined && hidden > 0;
  if (wouldStop.length > 0 || isCertain) {
    return { ...base, verdict: "not ready", reasons: describeBreaks(wouldStop, days, hidden, report) };
  }
  const unknown = (reason: string): Assessment => ({ ...base, verdict: "unknown", reasons: [reason] });
  const { summary } = report;
  if (hidden === undefined) {
    const why =
      report.omitted === undefined
        ? `${formatSentence(describeExpired(report))} They may`
        : `The list of the report is cut: ${describeUnlisted(report)} can't be looked at, and may`;
    return unknown(`${why} have been allowed.`);
  }
  if (report.policy.provenance === "NotFound") return unknown("The policy was deleted.");
  const change = describeChange(report, look, days);
  const unread = describeUnread(report);
  const isKnown = (look.isCounting || look.isSnapshot) && look.lastingGap === undefined;
  const hasAllowed = summary.allowed + summary.unknown > 0;
  // A policy that prevented something before its last change may do otherwise now.
  const isChanged = change !== undefined || report.policy.changedSinceLastSeen === true;
  if (!hasAllowed && isKnown && !isChanged) {
    const reasons = [
      look.isSnapshot
        ? "Every recorded occurrence was prevented: it blocked when the files were written."
        : "Every recorded occurrence was prevented: it blocks already.",
      report.coverage.lowerBound ? "Alerts are known to be missing, which may have been allowed." : "",
      unread ?? "",
    ];
    return { ...base, verdict: "blocks already", reasons: reasons.filter((reason) => reason !== "") };
  }
  if (look.isSnapshot) return unknown("These are files: they do not show what occurred since.");
  if (!look.isCounting && !look.isCutOff)
    return unknown("The operator may not be running, so that nothing may be counted.");
  if (look.lastingGap !== undefined) return unknown(`A gap has not ended. ${describeGap(look.lastingGap)}`);
  if (look.isCutOff)
    return unknown(
      "Alerts may be missing now: the operator does not reach all of KubeArmor, or cannot write its reports.",
    );
  if (look.wholeSinceMs === undefined || look.wholeSinceMs > look.fromMs) {
    const since =
      look.wholeSinceMs === undefined
        ? "It is unknown since when the alert stream has been read without a gap"
        : `The alert stream has been read without a gap only since ${formatMs(look.wholeSinceMs)}`;
    return unknown(`${since}; the time looked at is ${days}.`);
  }
  if (change !== undefined || unread !== undefined) return unknown(change ?? unread ?? "");
  const last = passed[0] === undefined ? "" : ` The last one was ${formatAge(look.nowMs - getLastPassed(passed))} ago.`;
  const posture =
    report.policy.kind === "DefaultPosture"
      ? " Changes of the posture and of Allow policies in that time are unknown."
      : "";
  return {
    ...base,
    verdict: "ready",
    reasons: [`In the last ${days} nothing occurred that blocking would have stopped.${last}${posture}`],
  };
}

/** Says why a change of the policy would not show; undefined where it would. */
function describeUnread({ policy: { provenance, objects = [] } }: Report): string | undefined {
  if (provenance === "Unknown") {
    return "It is unknown if the policy was changed or deleted: the operator cannot look it up.";
  }
  return objects.some(({ changedAt }) => changedAt === undefined)
    ? "It is unknown when the policy was changed: its object does not record it."
    : undefined;
}

/** Says that the policy was another one in the time looked at; undefined where it was not, or nothing says so. */
function describeChange({ policy }: Report, { fromMs }: Look, days: string): string | undefined {
  const changedMs = Math.max(0, ...(policy.objects ?? []).map(({ changedAt }) => toMs(changedAt ?? "")));
  if (changedMs > fromMs) {
    return `The policy was changed at ${formatMs(changedMs)}; the time looked at is ${days}.`;
  }
  return undefined;
}

function getLastPassed(passed: readonly ViolationRef[]): number {
  return Math.max(...passed.map(({ violation }) => toMs(violation.lastSeen)));
}

/**
 * Counts occurrences since `fromMs` that were not prevented and that no list shows: 0 when there are none for certain,
 * undefined when that is unknown.
 */
function countHidden(report: Report, fromMs: number): number | undefined {
  if (report.omitted === undefined && report.expired === undefined) return 0;
  if (countUnlisted(report, "Allowed") + countUnlisted(report, "Unknown") === 0) return 0;
  const spans = readHistorySince(report, fromMs);
  if (spans === undefined) return undefined;
  const sum = (some: readonly Span[]) =>
    some.reduce((total, { allowed = 0, unknown = 0 }) => total + allowed + unknown, 0);
  if (sum(spans) === 0) return 0;
  const listed = report.violations
    .filter(({ outcome, lastSeen }) => outcome !== "Prevented" && toMs(lastSeen) >= fromMs)
    .reduce((total, { occurrences }) => total + occurrences, 0);
  // The first hour or day begins before the time looked at, and so may what occurred in it.
  const certain = sum(spans.filter(({ startMs }) => startMs >= fromMs));
  return certain > listed ? certain - listed : undefined;
}

function describeUnlisted({
  omitted: { violations, occurrences } = { violations: 0, occurrences: 0 },
}: Report): string {
  return violations > 0 ? formatCount(violations, "violation") : formatCount(occurrences, "occurrence");
}

function describeBreaks(
  wouldStop: readonly ViolationRef[],
  days: string,
  hidden: number | undefined,
  report: Report,
): string[] {
  const accepted = wouldStop.filter((one) => one.accepted !== undefined).length;
  const unenforced = wouldStop.filter(({ violation }) => isUnenforced(violation)).length;
  const workloads = new Set(wouldStop.map(({ violation: { workload } }) => formatWorkload(workload))).size;
  const least = hidden === 0 ? "" : "at least ";
  const reasons =
    wouldStop.length === 0
      ? [`In the last ${days} blocking would have stopped violations that the report has no room to list.`]
      : [
          `In the last ${days} blocking would have stopped ${least}${formatCount(wouldStop.length, "violation")} on ${least}${formatCount(workloads, "workload")}.`,
        ];
  if (hidden !== 0) {
    reasons.push(
      report.omitted === undefined
        ? formatSentence(describeExpired(report))
        : `The list of the report is cut: ${describeUnlisted(report)} can't be looked at.`,
    );
  }
  if (accepted > 0) {
    reasons.push(
      `${accepted} of them ${accepted === 1 ? "is" : "are"} accepted, and would be blocked all the same: allow them in the policy first.`,
    );
  }
  if (unenforced > 0) {
    reasons.push(
      `${unenforced} of them should have been blocked already (Audit (Block)): their nodes or pods do not enforce.`,
    );
  }
  return reasons;
}

function formatDays(ms: number): string {
  return ms % DAY_MS === 0 ? formatCount(ms / DAY_MS, "day") : formatDuration(ms);
}

const ORDER: readonly Readiness[] = ["not ready", "unknown", "ready", "blocks already"];

function compareVerdicts(a: Assessment, b: Assessment): number {
  return (
    ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) ||
    compare(a.namespace ?? "", b.namespace ?? "") ||
    compare(a.policy, b.policy)
  );
}

function render(found: readonly Assessment[], flags: Flags, session: Session, look: Look, limit: number): string {
  if (flags.output !== undefined) {
    const policies = found
      .slice(0, limit)
      .map(({ wouldStop, ...rest }) => ({
        ...rest,
        wouldStop: wouldStop
          .slice(0, limit)
          .map(({ violation: { latest: _, ...violation }, accepted }) => ({
            ...violation,
            ...(accepted ? { accepted } : {}),
          })),
      }));
    const data = escapeData(JSON.parse(JSON.stringify({ policies })));
    return flags.output === "json" ? `${JSON.stringify(data, null, 2)}\n` : toYaml(data);
  }
  const { columns } = session.terminal;
  const [first] = found;
  if (found.length > 1 || !first) return layOut(createOverview(look), found.slice(0, limit), columns);
  const rows = first.wouldStop.slice(0, limit);
  const table = rows.length === 0 ? "" : `\nThese would be blocked:\n${layOut(createDetails(look), rows, columns)}`;
  return `${plain(first.policy)}: ${first.verdict}\n${wrap(first.reasons.join(" "), columns)}\n${table}`;
}

function createOverview({ nowMs }: Look): Column<Assessment>[] {
  const getLast = ({ wouldStop }: Assessment) => formatAge(nowMs - getLastPassed(wouldStop));
  return [
    { title: "NAMESPACE", cell: ({ namespace }) => plain(namespace ?? "(cluster)"), minWidth: 9 },
    { title: "VERDICT", cell: ({ verdict }) => verdict },
    {
      title: "WOULD STOP",
      cell: ({ wouldStop, isAtLeast }) => `${wouldStop.length}${isAtLeast ? "+" : ""}`,
      align: "right",
    },
    { title: "LAST", cell: (one) => (one.wouldStop.length === 0 ? "-" : getLast(one)) },
    { title: "POLICY", cell: ({ policy }) => plain(policy) },
  ];
}

function createDetails({ nowMs }: Look): Column<ViolationRef>[] {
  return [
    { title: "COUNT", cell: ({ violation }) => String(violation.occurrences), align: "right" },
    { title: "LAST SEEN", cell: ({ violation }) => formatAge(nowMs - toMs(violation.lastSeen)) },
    { title: "WORKLOAD", cell: ({ violation: { workload } }) => plain(formatWorkload(workload)), minWidth: 14 },
    { title: "ACCEPTED BY", cell: ({ accepted }) => plain(accepted ?? "-"), isOptional: true },
    { title: "VIOLATION", cell: ({ violation }) => plain(formatTitle(violation)) },
  ];
}
