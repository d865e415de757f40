// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `readiness`: can a policy go from audit to block? From the records alone: what it would have stopped.
// Invariant: "ready" is said only of a time in which the stream is known to have been whole.

import { stringify } from "yaml";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { age } from "../../../src/lib/age.ts";
import { type Column, layOut, wrap } from "../render/columns.ts";
import { plain, plainData } from "../render/escape.ts";
import { tellHeartbeat } from "../reports/heartbeat.ts";
import { EXIT, type ExitCode, PluginError, usageError } from "../reports/problem.ts";
import {
  byWorst,
  compare,
  deedOf,
  recentGaps,
  reportPath,
  type ViolationRef,
  violationsOf,
} from "../reports/report-view.ts";
import { count } from "../reports/sentences.ts";
import { msOf, parseDuration, tellMs } from "../reports/when.ts";
import type { Flags } from "./arguments.ts";
import { placeOf, reportsOf, type Session, scopeOf } from "./session.ts";

export type Readiness = "ready" | "not ready" | "not enough seen" | "blocks already";

/** What the records say of one policy. */
export interface Assessment {
  policy: string;
  namespace: string | undefined;
  verdict: Readiness;
  /** Why, in sentences. */
  reasons: string[];
  /** What blocking would have stopped in the time looked at, worst first. */
  wouldStop: ViolationRef[];
}

const WINDOW = "7d";
const FORMS = ["json", "yaml"];
const DAY_MS = 86_400_000;

/** Assesses one policy, or all that have reports. */
export async function readiness(
  session: Session,
  policy: string | undefined,
  flags: Flags,
): Promise<ExitCode> {
  const text = flags.window ?? WINDOW;
  const windowMs = parseDuration(text);
  if (windowMs === undefined) throw usageError(`--window "${plain(text)}" is no duration: give 12h, 7d, 2w`);
  if (flags.output !== undefined && !FORMS.includes(flags.output)) {
    throw usageError(`-o "${plain(flags.output)}" is no form: it must be ${FORMS.join(" or ")}`);
  }
  const reports = await reportsOf(session, flags);
  const asked = policy === undefined ? reports : reports.filter((one) => isCalled(one, policy));
  const scope = scopeOf(flags, session);
  if (asked.length === 0) {
    const what = policy === undefined ? "report" : `report of a policy "${plain(policy)}"`;
    throw new PluginError(
      EXIT.failed,
      `not enough seen: there is no ${what} ${placeOf(scope)}: nothing violated it in the time that reports are kept, or it is not there, ` +
        `selects nothing, or does not audit; check it with \`kubectl get ksp,csp,hsp -A\``,
    );
  }
  const nowMs = session.clock.nowMs();
  const beat = await session.source.heartbeat?.(nowMs);
  const doubt = beat && tellHeartbeat(beat);
  if (doubt !== undefined) session.terminal.err(`note: ${doubt}\n`);
  const isSilent = beat?.state === "silent";
  const look = { nowMs, fromMs: nowMs - windowMs, wholeSinceMs: wholeSince(reports), isSilent };
  const found = asked.map((report) => assess(report, look)).sort(byVerdict);
  session.terminal.out(printed(found, flags, session, look));
  return found.every(({ verdict }) => verdict === "ready" || verdict === "blocks already")
    ? EXIT.ok
    : EXIT.no;
}

function isCalled({ policy, metadata }: Report, name: string): boolean {
  return policy.name === name || metadata.name === name || reportPath({ metadata } as Report) === name;
}

/** The time looked at. */
export interface Look {
  nowMs: number;
  fromMs: number;
  /** Since when the stream has been read without a known gap; undefined when that is not known. */
  wholeSinceMs: number | undefined;
  /** Nobody counts at the moment. */
  isSilent?: boolean;
}

/** Reports are written at different times, and a gap shows first in the one that was written last. */
function wholeSince(reports: readonly Report[]): number | undefined {
  const times = reports.flatMap(({ coverage }) =>
    coverage.continuousSince ? [msOf(coverage.continuousSince)] : [],
  );
  const lapses = reports.flatMap((report) => recentGaps(report).map(({ from, to }) => msOf(to ?? from)));
  return times.length === 0 ? undefined : Math.max(...times, ...lapses);
}

/** What the records of one policy say. */
export function assess(report: Report, look: Look): Assessment {
  const all = violationsOf([report]).sort(byWorst);
  const passed = all.filter(({ violation }) => violation.outcome !== "Prevented");
  const wouldStop = passed.filter(({ violation }) => msOf(violation.lastSeen) >= look.fromMs);
  const base = { policy: report.policy.name, namespace: report.metadata.namespace, wouldStop };
  const days = tellDays(look.nowMs - look.fromMs);
  if (wouldStop.length > 0) {
    const accepted = wouldStop.filter((one) => one.accepted !== undefined).length;
    const unforced = wouldStop.filter(({ violation }) => violation.action === "Audit (Block)").length;
    const workloads = new Set(
      wouldStop.map(({ violation: { workload } }) => `${workload.kind}/${workload.name}`),
    ).size;
    const reasons = [
      `In the last ${days} blocking would have stopped ${count(wouldStop.length, "deed")} on ${count(workloads, "workload")}.`,
    ];
    if (accepted > 0)
      reasons.push(
        `${accepted} of them ${accepted === 1 ? "is" : "are"} accepted, and would be stopped all the same: allow them in the policy first.`,
      );
    if (unforced > 0)
      reasons.push(
        `${unforced} of them should have been blocked already (Audit (Block)): their nodes or pods do not enforce.`,
      );
    return { ...base, verdict: "not ready", reasons };
  }
  if (passed.length === 0 && all.length > 0) {
    const reasons = ["Everything that is recorded of it was stopped: it blocks already."];
    return { ...base, verdict: "blocks already", reasons };
  }
  if (report.omitted) {
    const reasons = [
      `The report is cut: ${count(report.omitted.violations, "violation")} can't be looked at.`,
    ];
    return { ...base, verdict: "not enough seen", reasons };
  }
  if (look.isSilent) {
    return {
      ...base,
      verdict: "not enough seen",
      reasons: ["The operator is not running: nobody is counting."],
    };
  }
  if (look.wholeSinceMs === undefined || look.wholeSinceMs > look.fromMs) {
    const since =
      look.wholeSinceMs === undefined
        ? "It is not known since when"
        : `Only since ${tellMs(look.wholeSinceMs)}`;
    const reasons = [`${since} the stream has been read without a gap; ${days} are asked for.`];
    return { ...base, verdict: "not enough seen", reasons };
  }
  const last =
    all[0] === undefined ? "" : ` The last one was ${age(look.nowMs - msOf(report.summary.lastSeen))} ago.`;
  return {
    ...base,
    verdict: "ready",
    reasons: [`In the last ${days} nothing happened that blocking would have stopped.${last}`],
  };
}

function tellDays(ms: number): string {
  return ms % DAY_MS === 0 ? count(ms / DAY_MS, "day") : `${Math.round(ms / 3_600_000)} hours`;
}

const ORDER: readonly Readiness[] = ["not ready", "not enough seen", "ready", "blocks already"];

function byVerdict(a: Assessment, b: Assessment): number {
  return (
    ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict) ||
    compare(a.namespace ?? "", b.namespace ?? "") ||
    compare(a.policy, b.policy)
  );
}

function printed(found: readonly Assessment[], flags: Flags, session: Session, look: Look): string {
  if (flags.output !== undefined) {
    const policies = found.map(({ wouldStop, ...rest }) => ({
      ...rest,
      wouldStop: wouldStop.map(({ violation, accepted }) => ({
        ...violation,
        latest: undefined,
        ...(accepted ? { accepted } : {}),
      })),
    }));
    const data = plainData(JSON.parse(JSON.stringify({ policies })));
    return flags.output === "json"
      ? `${JSON.stringify(data, null, 2)}\n`
      : stringify(data, { lineWidth: 0, compat: "yaml-1.1" });
  }
  const { columns } = session.terminal;
  const [first] = found;
  if (found.length > 1 || !first) return layOut(overview(look), found, columns);
  return `${plain(first.policy)}: ${first.verdict}\n${wrap(first.reasons.join(" "), columns)}\n${
    first.wouldStop.length === 0
      ? ""
      : `\nThese would break:\n${layOut(details(look), first.wouldStop, columns)}`
  }`;
}

function overview({ nowMs }: Look): Column<Assessment>[] {
  const lastOf = ({ wouldStop }: Assessment) =>
    Math.max(0, ...wouldStop.map(({ violation }) => msOf(violation.lastSeen)));
  return [
    { title: "NAMESPACE", cell: ({ namespace }) => plain(namespace ?? ""), minWidth: 9 },
    { title: "POLICY", cell: ({ policy }) => plain(policy), minWidth: 20 },
    { title: "VERDICT", cell: ({ verdict }) => verdict },
    { title: "WOULD STOP", cell: ({ wouldStop }) => String(wouldStop.length), align: "right" },
    { title: "LAST", cell: (one) => (one.wouldStop.length === 0 ? "" : age(nowMs - lastOf(one))) },
  ];
}

function details({ nowMs }: Look): Column<ViolationRef>[] {
  return [
    {
      title: "WORKLOAD",
      cell: ({ violation: { workload } }) => plain(`${workload.kind}/${workload.name}`),
      minWidth: 14,
    },
    { title: "VIOLATION", cell: ({ violation }) => plain(deedOf(violation)), minWidth: 16 },
    { title: "COUNT", cell: ({ violation }) => String(violation.occurrences), align: "right" },
    { title: "LAST SEEN", cell: ({ violation }) => age(nowMs - msOf(violation.lastSeen)) },
    { title: "ACCEPTED BY", cell: ({ accepted }) => plain(accepted ?? "") },
  ];
}
