// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict of a gate for people, and as JSON.

import { wrap } from "../render/columns.ts";
import { renderTable, toRow } from "../render/violation-table.ts";
import { reportPath } from "../reports/report-view.ts";
import { nameReports } from "../reports/totals.ts";
import { formatCount, formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { getColors, parseLimit, parseScope, type Session } from "../session/session.ts";
import { escapeData, plain } from "../text/escape.ts";
import { getDecision, limitVerdict, type Verdict } from "./gate-verdict.ts";

/** The first line, without its stop. */
export function describeDecision(verdict: Verdict): string {
  const { failed, unlisted, unknown } = verdict;
  const decision = getDecision(verdict);
  if (decision === "PASSED") return "PASSED: no open violation among those looked at";
  if (decision === "UNKNOWN") return `UNKNOWN: ${unknown.join("; ")}`;
  const hidden = unlisted.reduce((sum, { violations }) => sum + violations, 0);
  const parts = [
    failed.length > 0 ? formatCount(failed.length, "open violation") : "",
    hidden > 0
      ? `at least ${formatCount(hidden, "violation")} that ${nameReports(unlisted.map(({ report }) => report))} can't list ` +
        `and that ${hidden === 1 ? "is" : "are"} not known to be accepted`
      : "",
  ];
  return `FAILED: ${parts.filter((part) => part !== "").join(", and ")}`;
}

export function renderText(verdict: Verdict, session: Session, flags: Flags): string {
  const { failed, accepted, known, expired } = verdict;
  const { columns } = session.terminal;
  const paint = getColors(session);
  const [word = "", ...rest] = describeDecision(verdict).split(":");
  const outcome = { PASSED: "Prevented", FAILED: "Allowed", UNKNOWN: "Unknown" } as const;
  const decision = paint.bold(paint.outcome(outcome[getDecision(verdict)], word));
  const passed = [
    accepted.length > 0 ? `${accepted.length} accepted` : "",
    known.length > 0 ? `${known.length} known from ${plain(flags.baseline ?? "")}` : "",
    expired,
  ].filter((part) => part !== "");
  const lines = [
    wrap(`${decision}:${rest.join(":")}.`, columns),
    wrap(formatSentence(`Looked at ${verdict.lookedAt}`), columns),
    ...(passed.length > 0 ? [wrap(formatSentence(`Passed over: ${passed.join(", ")}`), columns)] : []),
    ...(verdict.snapshot === undefined ? [] : [wrap(formatSentence(verdict.snapshot), columns)]),
  ];
  if (failed.length === 0) return `${lines.join("\n")}\n`;
  const limit = parseLimit(flags, session);
  const shown = failed.slice(0, limit);
  const more = failed.length - shown.length;
  const table = renderTable(shown, session, { isAll: parseScope(flags, session).namespace === undefined });
  return `${lines.join("\n")}\n\n${table}${more > 0 ? `… and ${more} more; --limit 0 shows all.\n` : ""}`;
}

export function renderJson(verdict: Verdict, session: Session, flags: Flags): string {
  const { failed, unlisted, accepted, known, expired, unknown, lookedAt, snapshot, reports } = verdict;
  const { shown } = limitVerdict(verdict, parseLimit(flags, session));
  const decision = getDecision(verdict);
  const data = {
    decision,
    passed: decision === "PASSED",
    lookedAt: { description: lookedAt, reports: reports.length, ...(snapshot === undefined ? {} : { snapshot }) },
    unknown,
    violations: shown.failed.map(toRow),
    count: failed.length,
    unlisted: unlisted.map(({ report, violations }) => ({ report: reportPath(report), atLeast: violations })),
    passedOver: {
      accepted: shown.accepted.map(toRow),
      known: shown.known.map(toRow),
      counts: { accepted: accepted.length, known: known.length },
      ...(expired === "" ? {} : { expired }),
    },
  };
  return `${JSON.stringify(escapeData(data), null, 2)}\n`;
}
