// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `explain`: from "something is red" to cause and decision, in sentences.

import { stringify } from "yaml";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { wrap } from "../render/columns.ts";
import { plain } from "../render/escape.ts";
import { adviceFor } from "../reports/policy-snippet.ts";
import { EXIT, type ExitCode, PluginError, usageError } from "../reports/problem.ts";
import { type ReportFilterScope, readAll } from "../reports/report-source.ts";
import {
  byWorst,
  provenanceOf,
  reportPath,
  type ViolationRef,
  violationsOf,
} from "../reports/report-view.ts";
import { count, coverage, evidence, extent, headline, verdict } from "../reports/sentences.ts";
import type { Flags } from "./arguments.ts";
import { colorsOf, placeOf, type Session, scopeOf } from "./session.ts";

const ID = /^[0-9a-f]{16}$/;
/** The beginning of an id, as a narrow table shows it; it may as well be the name of a report. */
const ID_PREFIX = /^[0-9a-f]{6,15}$/;
/** So many violations of a report are told unless all are asked for. */
const WORST = 5;
const MAX_WIDTH = 100;

/** Explains the one violation or the report that `what` names. */
export async function explain(session: Session, what: string, flags: Flags): Promise<ExitCode> {
  const target = await lookUp(session, what, flags);
  if (Array.isArray(target)) {
    for (const one of target)
      session.terminal.out(`${tell(one, session)}\n${tellReport(one.report, session)}\n`);
    return EXIT.ok;
  }
  const found = violationsOf([target]).sort(byWorst);
  const shown = flags.all ? found : found.slice(0, WORST);
  session.terminal.out(`${tellReport(target, session)}\n`);
  for (const one of shown) session.terminal.out(`${tell(one, session)}\n`);
  if (shown.length < found.length) {
    session.terminal.err(`… and ${found.length - shown.length} more violations; --all tells all.\n`);
  }
  return EXIT.ok;
}

async function lookUp(session: Session, what: string, flags: Flags): Promise<Report | ViolationRef[]> {
  if (ID.test(what)) return await findId(session, what, flags);
  try {
    return await findReport(session, what, flags);
  } catch (error) {
    if (!ID_PREFIX.test(what) || !(error instanceof PluginError)) throw error;
    return await findId(session, what, flags);
  }
}

/** The same deed has the same id in every report, so there may be several. */
async function findId(session: Session, id: string, flags: Flags): Promise<ViolationRef[]> {
  const scope = scopeOf(flags, session);
  // Whoever copies an id from a table of all namespaces should not have to say where it was.
  const wide: ReportFilterScope = flags.namespace === undefined ? { namespace: undefined } : scope;
  const reports = await readAll(session.source, wide).catch(async (error: unknown) => {
    if (flags.allNamespaces || flags.namespace !== undefined || !(error instanceof PluginError)) throw error;
    return await readAll(session.source, scope);
  });
  const found = violationsOf(reports).filter(({ violation }) => violation.id.startsWith(id));
  if (found.length > 0) return found.sort(byWorst);
  throw new PluginError(
    EXIT.failed,
    `there is no violation ${id} ${placeOf(wide)}: it may have expired, or been cut from a full report; ` +
      `list what there is with \`kubectl violations -A\``,
  );
}

async function findReport(session: Session, what: string, flags: Flags): Promise<Report> {
  const parts = what.split("/");
  if (parts.length > 2 || parts.some((part) => part === "")) {
    throw usageError(
      `"${plain(what)}" is no report: give NAME, NAMESPACE/NAME, cpvr/NAME or the id of a violation`,
    );
  }
  const [place, name] = parts.length === 2 ? [parts[0] ?? "", parts[1] ?? ""] : ["", parts[0] ?? ""];
  const report = await readReport(session, place, name, flags);
  if (report) return report;
  const scope = place === "" ? scopeOf(flags, session) : { namespace: place };
  throw new PluginError(
    EXIT.failed,
    `there is no report "${plain(name)}" ${place === "cpvr" ? "of the cluster" : placeOf(scope)}; ` +
      `list what there is with \`kubectl violations -A\``,
  );
}

async function readReport(
  session: Session,
  place: string,
  name: string,
  flags: Flags,
): Promise<Report | undefined> {
  const { source } = session;
  if (place === "cpvr" || place === "clusterpolicyviolationreport") return await source.read(undefined, name);
  if (place !== "" && place !== "pvr" && place !== "policyviolationreport")
    return await source.read(place, name);
  const scope = scopeOf(flags, session);
  if (scope.namespace !== undefined) {
    const own = await source.read(scope.namespace, name);
    // A host's report has no namespace to be asked for in; who may not read it is told of the namespace's.
    return own ?? (place === "" ? await source.read(undefined, name).catch(() => undefined) : undefined);
  }
  const same = (await readAll(source, scope)).filter(({ metadata }) => metadata.name === name);
  if (same.length <= 1) return same[0];
  throw usageError(
    `several reports are called "${plain(name)}": say which: ${same.map((report) => plain(reportPath(report))).join(", ")}`,
  );
}

function tell(found: ViolationRef, session: Session): string {
  const paint = colorsOf(session);
  const width = Math.min(session.terminal.columns ?? MAX_WIDTH, MAX_WIDTH);
  const paragraph = (sentences: readonly string[]) => `${wrap(sentences.join(" "), width)}\n`;
  const rows = evidence(found.violation);
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  const { sentences, policy } = adviceFor(found);
  const blocks = [
    `${paint.bold(`Violation ${plain(found.violation.id)}`)} of ${plain(reportPath(found.report))}\n`,
    `${paint.outcome(found.violation.outcome, wrap(headline(found), width))}\n`,
    paragraph(verdict(found)),
    paragraph(extent(found, session.clock.nowMs())),
    rows.length === 0
      ? "The report keeps no evidence of it.\n"
      : `The newest alert:\n${rows.map(([name, value]) => `  ${name.padEnd(nameWidth)}  ${value}\n`).join("")}`,
    paint.bold("What to do\n") + paragraph(sentences),
    ...(policy ? [indent(stringify(policy, { lineWidth: 0, indentSeq: false, compat: "yaml-1.1" }))] : []),
  ];
  return blocks.join("\n");
}

function tellReport(report: Report, session: Session): string {
  const paint = colorsOf(session);
  const width = Math.min(session.terminal.columns ?? MAX_WIDTH, MAX_WIDTH);
  const { summary } = report;
  const counts =
    `${count(summary.occurrences, "occurrence")} of ${count(summary.violations, "violation")}: ` +
    `${summary.prevented} prevented, ${summary.allowed} allowed, ${summary.unknown} unknown; ` +
    `on ${count(summary.workloads, "workload")}, ${count(summary.pods, "pod")}, ${count(summary.nodes, "node")}.`;
  const provenance = provenanceOf(report).map(([key, value]) => `  ${plain(key)}: ${plain(value)}\n`);
  return [
    `${paint.bold(`Report ${plain(reportPath(report))}`)}\n`,
    `${wrap(counts, width)}\n`,
    `${wrap(coverage(report).join(" "), width)}\n`,
    ...(provenance.length > 0 ? [`The policy object:\n${provenance.join("")}`] : []),
  ].join("\n");
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
