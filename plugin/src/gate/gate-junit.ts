// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict of a gate as JUnit XML: a suite per report, a case per violation; valid against Jenkins' schema.
// Invariant: a gate that did not pass has a failure or an error.

import type { VNode } from "preact";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Flags } from "../commands/arguments.ts";
import { parseLimit, type Session } from "../commands/session.ts";
import { el, renderXml } from "../render/markup.ts";
import { compare } from "../reports/order.ts";
import { formatTitle, getSeverityLevel, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { describeRule, describeViolation } from "../reports/sentences.ts";
import { formatSentence } from "../reports/words.ts";
import { getDecision, listClusters, type Verdict } from "./gate-verdict.ts";

type Result = "passed" | "skipped" | "failure" | "error";

interface Case {
  name: string;
  className: string;
  result: Result;
  type?: string;
  message?: string;
  text?: string;
}

export function renderJunit(verdict: Verdict, session: Session, flags: Flags): string {
  const suites = verdict.reports
    .toSorted((a, b) => compare(reportPath(a), reportPath(b)))
    .map((report) => ({
      name: reportPath(report),
      clusters: listClusters([report]),
      cases: createCases(report, verdict, parseLimit(flags, session)),
    }));
  const clusters = listClusters(verdict.reports);
  suites.unshift({ name: "gate", clusters, cases: [createDecisionCase(verdict)] });
  const all = suites.flatMap(({ cases }) => cases);
  const document = el(
    "testsuites",
    {
      name: "kubectl violations gate",
      tests: all.length,
      failures: count(all, "failure"),
      errors: count(all, "error"),
    },
    ...suites.map(({ name, clusters, cases }) =>
      el(
        "testsuite",
        {
          name,
          tests: cases.length,
          failures: count(cases, "failure"),
          errors: count(cases, "error"),
          skipped: count(cases, "skipped"),
        },
        ...renderProperties(clusters),
        ...cases.map(renderCase),
      ),
    ),
  );
  return renderXml(document);
}

/** A property `cluster` per name; Jenkins' schema has no place for it in `testsuites`. */
function renderProperties(clusters: readonly string[]): VNode[] {
  const properties = clusters.map((value) => el("property", { name: "cluster", value }));
  return properties.length > 0 ? [el("properties", {}, ...properties)] : [];
}

function count(cases: readonly Case[], result: Result): number {
  return cases.filter((one) => one.result === result).length;
}

function createDecisionCase(verdict: Verdict): Case {
  const base = { name: `Looked at ${verdict.lookedAt}`, className: "gate" };
  if (getDecision(verdict) !== "UNKNOWN") return { ...base, result: "passed" };
  return { ...base, result: "error", type: "unknown", message: formatSentence(verdict.unknown.join("; ")) };
}

function createCases(report: Report, verdict: Verdict, limit: number): Case[] {
  const className = reportPath(report).replace("/", ".");
  const own = (found: readonly ViolationRef[]) => found.filter((one) => one.report === report);
  const caseOf = (found: ViolationRef, result: Result, message: string): Case => ({
    name: `${formatTitle(found.violation)} (${found.violation.id})`,
    className,
    result,
    type: getSeverityLevel(found),
    message,
    text: [describeViolation(found), ...describeRule(found)].join(" "),
  });
  const hidden = verdict.unlisted.find((one) => one.report === report);
  const cases = [
    ...own(verdict.failed)
      .slice(0, limit)
      .map((found) => caseOf(found, "failure", describeViolation(found))),
    ...own(verdict.accepted).map((found) => caseOf(found, "skipped", `Accepted by ${found.accepted}.`)),
    ...own(verdict.known).map((found) => caseOf(found, "skipped", "Known from the baseline.")),
    ...(hidden
      ? [
          {
            name: "violations that the report can't list",
            className,
            result: "failure" as const,
            type: "unlisted",
            message: `At least ${hidden.violations} open violations are not listed.`,
          },
        ]
      : []),
  ];
  return cases.length > 0 ? cases : [{ name: "no open violation", className, result: "passed" }];
}

function renderCase({ name, className, result, type, message, text }: Case): VNode {
  const inner = result === "passed" ? [] : [el(result, { type, message }, text)];
  return el("testcase", { name, classname: className }, ...inner);
}
