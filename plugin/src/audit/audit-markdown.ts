// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit as Markdown for a pull request or an issue.
// Invariant: every text from a report is in a code span, so that it links, mentions and formats nothing.

import { codeSpan } from "../render/escape.ts";
import { deedOf, isLowerBound, namespaceOf, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { count } from "../reports/sentences.ts";
import { tellMs, told } from "../reports/when.ts";
import { type Facts, MAX_UNENFORCED } from "./audit-facts.ts";

/** GitHub takes 65,536 characters in a comment, GitLab more. */
const MAX_CHARS = 60_000;

/** Returns the document, cut after the worst violations where a comment could not hold it. */
export function auditMarkdown(facts: Facts): string {
  const { counts, violations, accepted, reports, unenforced, uncovered } = facts;
  const head = [
    "# Policy violations",
    "",
    `${codeSpan(facts.about)}, as of ${tellMs(facts.nowMs)}`,
    "",
    "| allowed | unknown | prevented | violations | accepted | reports |",
    "| ---: | ---: | ---: | ---: | ---: | ---: |",
    `| ${[counts.Allowed, counts.Unknown, counts.Prevented, violations.length - accepted, accepted, reports.length].join(" | ")} |`,
    "",
    uncovered.length === 0
      ? "No gap is known: the numbers are all that KubeArmor sent."
      : `The numbers of ${count(uncovered.length, "report")} do not hold everything: ${uncovered
          .slice(0, 20)
          .map((report) => codeSpan(reportPath(report)))
          .join(", ")}${uncovered.length > 20 ? ", …" : ""}.`,
    "",
  ];
  const more = unenforced.length - MAX_UNENFORCED;
  const rest = more > 0 ? [`… and ${count(more, "more violation")}.`, ""] : [];
  const bad =
    unenforced.length === 0
      ? []
      : [
          "## Allowed, though it should have been blocked",
          "",
          ...table(unenforced.slice(0, MAX_UNENFORCED)),
          "",
          ...rest,
        ];
  const lines = [...head, ...bad, "## Violations, the worst first", ""];
  if (violations.length === 0) return `${[...lines, "There is none."].join("\n")}\n`;
  return withinLimit(lines, table(violations), violations.length);
}

function withinLimit(lines: readonly string[], rows: readonly string[], total: number): string {
  const kept = [...lines];
  let length = kept.join("\n").length;
  let shown = -2;
  for (const row of rows) {
    if (length + row.length > MAX_CHARS) break;
    kept.push(row);
    length += row.length + 1;
    shown += 1;
  }
  if (shown < total) kept.push("", `… and ${total - shown} more.`);
  return `${kept.join("\n")}\n`;
}

function table(found: readonly ViolationRef[]): string[] {
  const rows = found.map((one) => {
    const { report, violation, accepted } = one;
    const cells = [
      codeSpan(report.summary.severity),
      codeSpan(violation.outcome) + (accepted === undefined ? "" : ` accepted by ${codeSpan(accepted)}`),
      codeSpan(namespaceOf(one)),
      codeSpan(`${violation.workload.kind}/${violation.workload.name}`),
      codeSpan(deedOf(violation)),
      codeSpan(report.policy.name),
      `${isLowerBound(one) ? "≥ " : ""}${violation.occurrences}`,
      told(violation.lastSeen),
    ];
    return `| ${cells.join(" | ")} |`;
  });
  return [
    "| severity | outcome | namespace | workload | violation | policy | times | last seen |",
    "| --- | --- | --- | --- | --- | --- | ---: | --- |",
    ...rows,
  ];
}
