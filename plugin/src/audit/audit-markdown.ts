// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit as Markdown for a pull request or an issue.
// Invariant: every text from a report is in a code span, so that it links, mentions and formats nothing.

import { formatNamespace } from "../reports/policy-rule.ts";
import { formatTitle, getSeverityLevel, isLowerBound, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { formatMs, formatTime } from "../reports/when.ts";
import { formatCount, formatNumber } from "../reports/words.ts";
import { toCodeSpan } from "../text/escape.ts";
import type { Facts } from "./audit-facts.ts";
import {
  describeCompleteness,
  describeEnforcement,
  describeNothing,
  describeState,
  listAbout,
  MAX_UNENFORCED,
} from "./audit-words.ts";

/** GitHub takes 65,536 characters in a comment, GitLab more. */
const MAX_CHARS = 60_000;
const MAX_NAMED = 20;

/** Returns the document, cut after the worst violations where a comment could not hold it. */
export function renderMarkdown(facts: Facts, limit: number): string {
  const { totals, violations, accepted, matching, enforcement, uncovered, severities } = facts;
  const { counts } = totals;
  const state = describeState(facts);
  const mark = (isLess: boolean, n: number) => `${isLess ? "≥ " : ""}${n}`;
  const outcomes = facts.filter.outcomes.map((one) => one.toLowerCase());
  const numbers = [
    ...facts.filter.outcomes.map((outcome) => mark(totals.isAtLeast, counts[outcome])),
    mark(totals.isListAtLeast, totals.violations),
    mark(facts.isAcceptedAtLeast, accepted),
    String(matching.length),
  ];
  const head = [
    "# Policy violations",
    "",
    `${toCodeSpan(facts.about)}, as of ${formatMs(facts.nowMs)}.`,
    "",
    ...(state === undefined ? [] : [`**${state.isBad ? "Warning" : "Note"}:** ${toCodeSpan(state.text)}`, ""]),
    ...listAbout(facts).map(([name, value]) => `- ${name}: ${toCodeSpan(value)}`),
    "",
    `| ${[...outcomes, "open violations", "accepted", "reports"].join(" | ")} |`,
    `| ${numbers.map(() => "---:").join(" | ")} |`,
    `| ${numbers.join(" | ")} |`,
    "",
    `Listed open violations by severity: ${severities.map(([level, n]) => `${level} ${n}`).join(", ")}.`,
    "",
    describeCompleteness(facts).map(toCodeSpan).join(" "),
    ...(uncovered.length === 0
      ? []
      : [
          `The numbers of ${formatCount(uncovered.length, "report")} are lower bounds, or their lists are cut: ${uncovered
            .slice(0, MAX_NAMED)
            .map((report) => toCodeSpan(reportPath(report)))
            .join(", ")}${uncovered.length > MAX_NAMED ? ", …" : ""}.`,
        ]),
    "",
    "## Rules that say Block",
    "",
    describeEnforcement(enforcement),
    "",
  ];
  const unenforced = enforcement.state === "failed" ? enforcement.found : [];
  const more = unenforced.length - MAX_UNENFORCED;
  const bad =
    unenforced.length === 0
      ? []
      : [
          ...renderTable(unenforced.slice(0, MAX_UNENFORCED)),
          "",
          ...(more > 0 ? [`… and ${formatNumber(more)} more.`, ""] : []),
        ];
  const lines = [...head, ...bad, "## Violations, the worst first", ""];
  if (violations.length === 0) {
    return `${[...lines, describeNothing(facts)].join("\n")}\n`;
  }
  return fitWithin(lines, renderTable(violations.slice(0, limit)), violations.length);
}

function fitWithin(lines: readonly string[], rows: readonly string[], total: number): string {
  const kept = [...lines];
  let length = kept.join("\n").length;
  // The first two rows are the table's head.
  let shown = -2;
  for (const row of rows) {
    if (length + row.length > MAX_CHARS) break;
    kept.push(row);
    length += row.length + 1;
    shown += 1;
  }
  if (shown < total) kept.push("", `… and ${total - Math.max(0, shown)} more.`);
  return `${kept.join("\n")}\n`;
}

function renderTable(found: readonly ViolationRef[]): string[] {
  const rows = found.map((one) => {
    const { report, violation, accepted } = one;
    const cells = [
      toCodeSpan(getSeverityLevel(one)),
      toCodeSpan(violation.outcome) + (accepted === undefined ? "" : ` accepted by ${toCodeSpan(accepted)}`),
      toCodeSpan(formatNamespace(one)),
      toCodeSpan(`${violation.workload.kind}/${violation.workload.name}`),
      toCodeSpan(formatTitle(violation)),
      toCodeSpan(report.policy.name),
      `${isLowerBound(one) ? "≥ " : ""}${violation.occurrences}`,
      formatTime(violation.lastSeen),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| severity | outcome | namespace | workload | violation | policy | times | last seen |",
    "| --- | --- | --- | --- | --- | --- | ---: | --- |",
    ...rows,
  ];
}
