// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `explain`: one violation, or a report with its worst violations, in sentences, with advice.

import type { Report } from "../../../src/api/v1alpha1.ts";
import { wrap } from "../render/columns.ts";
import { createAdvice } from "../reports/advice.ts";
import { describeHeartbeat } from "../reports/heartbeat.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import {
  compareWorst,
  describePolicyObjects,
  listViolations,
  reportPath,
  type ViolationRef,
} from "../reports/report-view.ts";
import {
  describeCoverage,
  describeExtent,
  describeRule,
  describeViolation,
  listEvidence,
} from "../reports/sentences.ts";
import { type ReportFilterScope, readOne } from "../reports/sources/report-source.ts";
import { describeCut } from "../reports/totals.ts";
import { formatCount, formatNumber } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { describeScope, getColors, parseLimit, parseScope, readScope, type Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { toYaml } from "./output-forms.ts";

const ID = /^[0-9a-f]{16}$/;
/** The beginning of an id; it may as well be the name of a report. */
const ID_PREFIX = /^[0-9a-f]{6,15}$/;
/** Violations of a report without --all. */
const WORST = 5;
const MAX_WIDTH = 100;

/** Explains the violation or the report that `target` names. */
export async function explain(session: Session, target: string, flags: Flags): Promise<ExitCode> {
  const { terminal } = session;
  const limit = flags.limit === undefined ? Number.POSITIVE_INFINITY : parseLimit(flags, session);
  const beat = await session.source.heartbeat?.(session.clock.nowMs());
  // The operator's Lease may have another name, and what a report says holds for the time when it was written.
  const doubt = beat === undefined || beat.state === "unknown" ? undefined : describeHeartbeat(beat);
  const found = await lookUp(session, target, flags);
  if (doubt !== undefined) terminal.err(`note: ${doubt}.\n`);
  if (Array.isArray(found)) {
    for (const one of found.slice(0, limit)) {
      terminal.out(`${renderViolation(one, session)}\n${renderReport(one.report, session)}\n`);
    }
    return EXIT.ok;
  }
  const all = listViolations([found]).sort(compareWorst);
  const shown = all.slice(0, flags.all || flags.limit !== undefined ? limit : WORST);
  terminal.out(`${renderReport(found, session)}\n`);
  for (const one of shown) terminal.out(`${renderViolation(one, session)}\n`);
  const more = all.length - shown.length;
  if (more > 0)
    terminal.err(`${formatCount(more, "more violation")} ${more === 1 ? "is" : "are"} listed; --all explains all.\n`);
  return EXIT.ok;
}

async function lookUp(session: Session, target: string, flags: Flags): Promise<Report | ViolationRef[]> {
  if (ID.test(target)) return await findById(session, target, flags);
  try {
    return await findReport(session, target, flags);
  } catch (error) {
    if (!ID_PREFIX.test(target) || !(error instanceof PluginError)) throw error;
    return await findById(session, target, flags);
  }
}

/** Finds a violation by its id or the beginning of it; reports of several policies may list the same id. */
export async function findById(session: Session, id: string, flags: Flags): Promise<ViolationRef[]> {
  const scope = parseScope(flags, session);
  // An id from a table of all namespaces is found without -n.
  let looked: ReportFilterScope = flags.namespace === undefined ? { namespace: undefined } : scope;
  const reports = await readScope(session, looked).catch(async (error: unknown) => {
    if (flags.allNamespaces || flags.namespace !== undefined || !(error instanceof PluginError)) throw error;
    looked = scope;
    return await readScope(session, scope);
  });
  const found = listViolations(reports).filter(({ violation }) => violation.id.startsWith(id));
  if (found.length > 0) return found.sort(compareWorst);
  const cut = reports.filter(({ omitted }) => omitted !== undefined);
  const why = cut.length === 0 ? "it may have expired" : `${describeCut(cut)}, and it may be one of them`;
  throw new PluginError(
    EXIT.failed,
    `no report lists a violation ${plain(id)} ${describeScope(looked, session.source)}: ${why}. List them with \`kubectl violations -A -o wide\`.`,
  );
}

async function findReport(session: Session, target: string, flags: Flags): Promise<Report> {
  const parts = target.split("/");
  if (parts.length > 2 || parts.some((part) => part === "")) {
    throw createUsageError(
      `invalid value "${plain(target)}": expected NAME, NAMESPACE/NAME, cpvr/NAME or the id of a violation.`,
    );
  }
  const [place, name] = parts.length === 2 ? [parts[0] ?? "", parts[1] ?? ""] : ["", parts[0] ?? ""];
  const report = await readReport(session, place, name, flags);
  if (report) return report;
  const scope = place === "" ? parseScope(flags, session) : { namespace: place };
  throw new PluginError(
    EXIT.failed,
    `there is no report "${plain(name)}" ${place === "cpvr" ? "of the cluster" : describeScope(scope, session.source)}: ` +
      "list the violations with `kubectl violations -A`.",
  );
}

async function readReport(session: Session, place: string, name: string, flags: Flags): Promise<Report | undefined> {
  const { source } = session;
  if (place === "cpvr" || place === "clusterpolicyviolationreport") return await readOne(source, undefined, name);
  if (place !== "" && place !== "pvr" && place !== "policyviolationreport") return await readOne(source, place, name);
  const scope = parseScope(flags, session);
  if (scope.namespace !== undefined) {
    const own = await readOne(source, scope.namespace, name);
    // A host's report has no namespace; without the right to read it, the error is about the namespace's.
    return own ?? (place === "" ? await readOne(source, undefined, name).catch(() => undefined) : undefined);
  }
  const same = (await readScope(session, scope)).filter(({ metadata }) => metadata.name === name);
  if (same.length <= 1) return same[0];
  throw createUsageError(
    `several reports are named "${plain(name)}": choose one of ${same.map((report) => plain(reportPath(report))).join(", ")}.`,
  );
}

function renderViolation(found: ViolationRef, session: Session): string {
  const paint = getColors(session);
  const width = Math.min(session.terminal.columns ?? MAX_WIDTH, MAX_WIDTH);
  const paragraph = (sentences: readonly string[]) => `${wrap(sentences.join(" "), width)}\n`;
  const rows = listEvidence(found.violation);
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  const { sentences, policy, accept } = createAdvice(found);
  const blocks = [
    `${paint.bold(`Violation ${plain(found.violation.id)}`)} of ${plain(reportPath(found.report))}\n`,
    `${paint.outcome(found.violation.outcome, wrap(describeViolation(found), width))}\n`,
    paragraph(describeRule(found)),
    paragraph(describeExtent(found, session.clock.nowMs())),
    rows.length === 0
      ? "The report has no evidence of it.\n"
      : `The newest alert:\n${rows.map(([name, value]) => `  ${name.padEnd(nameWidth)}  ${value}\n`).join("")}`,
    paint.bold("What to do\n") + paragraph(sentences.map(({ text }) => text)),
    ...(policy ? [toYaml(policy).replace(/^(?=.)/gm, "  ")] : []),
    ...(accept === undefined
      ? []
      : [
          `${wrap("To keep it out of lists, Events and the gate, accept it, and commit what this prints:", width)}\n\n  ${accept}\n`,
        ]),
  ];
  return blocks.join("\n");
}

function renderReport(report: Report, session: Session): string {
  const paint = getColors(session);
  const width = Math.min(session.terminal.columns ?? MAX_WIDTH, MAX_WIDTH);
  const { summary } = report;
  const least = report.coverage.lowerBound ? "At least " : "";
  const counts =
    `${least}${formatCount(summary.occurrences, "occurrence")} of ${formatCount(summary.violations, "violation")}: ` +
    `${formatNumber(summary.prevented)} prevented, ${formatNumber(summary.allowed)} allowed, ${formatNumber(summary.unknown)} unknown; ` +
    `on ${formatCount(summary.workloads, "workload")}, ${formatCount(summary.pods, "pod")}, ${formatCount(summary.nodes, "node")}.`;
  const policy = describePolicyObjects(report).map(([key, value]) => `  ${plain(key)}: ${plain(value)}\n`);
  return [
    `${paint.bold(`Report ${plain(reportPath(report))}`)}\n`,
    `${wrap(counts, width)}\n`,
    `${wrap(describeCoverage(report).join(" "), width)}\n`,
    `The policy:\n${policy.join("")}`,
  ].join("\n");
}
