// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The verdict of a gate as JUnit XML: a suite per report, a case per violation; valid against Jenkins' schema.
// Invariant: a gate that did not pass has a failure or an error.

import type { VNode } from "preact";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { el, renderXml } from "../render/markup.ts";
import { formatTitle, getSeverityLevel, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { describeRule, describeViolation } from "../reports/sentences.ts";
import { formatCount, formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { parseLimit, type Session } from "../session/session.ts";
import { describeUnlisted, getDecision, limitVerdict, listClusters, type Shown, type Verdict } from "./gate-verdict.ts";

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
  const { shown, more } = limitVerdict(verdict, parseLimit(flags, session));
  const suites = verdict.reports
    .toSorted((a, b) => compare(reportPath(a), reportPath(b)))
    .map((report) => ({
      name: reportPath(report),
      clusters: listClusters([report]),
      cases: createCases(report, verdict, shown),
    }));
  const clusters = listClusters(verdict.reports);
  const ofGate = [
    createDecisionCase(verdict),
    ...createMoreCase(verdict, shown, more),
    ...createPassedOverCase(verdict),
  ];
  suites.unshift({ name: "gate", clusters, cases: ofGate });
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
  const { lookedAt, snapshot } = verdict;
  const name = [`Looked at ${lookedAt}`, ...(snapshot === undefined ? [] : [snapshot])].join("; ");
  const base = { name, className: "gate" };
  if (getDecision(verdict) !== "UNKNOWN") return { ...base, result: "passed" };
  return { ...base, result: "error", type: "unknown", message: formatSentence(verdict.unknown.join("; ")) };
}

/** Violations that a limit leaves out: a failure where one of them is open. */
function createMoreCase({ failed }: Verdict, shown: Shown, more: number): Case[] {
  if (more === 0) return [];
  const name = `${formatCount(more, "violation")} beyond --limit`;
  const open = failed.length - shown.failed.length;
  const message = `${formatCount(open, "open violation")} beyond --limit.`;
  return [
    open > 0
      ? { name, className: "gate", result: "failure", type: "limit", message }
      : { name, className: "gate", result: "skipped", message: "Accepted, or known from the baseline." },
  ];
}

/** Violations of which only the totals are left: it is unknown if they were open. */
function createPassedOverCase({ expired }: Verdict): Case[] {
  if (expired === "") return [];
  const name = "violations that left their list";
  return [{ name, className: "gate", result: "skipped", message: formatSentence(expired) }];
}

function createCases(report: Report, verdict: Verdict, shown: Shown): Case[] {
  const className = reportPath(report).replace("/", ".");
  const own = (found: readonly ViolationRef[]) => found.filter((one) => one.report === report);
  const toTestCase = (found: ViolationRef, result: Result, message: string): Case => ({
    name: `${formatTitle(found.violation)} (${found.violation.id})`,
    className,
    result,
    type: getSeverityLevel(found),
    message,
    text: [describeViolation(found), ...describeRule(found)].join(" "),
  });
  const hidden = verdict.unlisted.find((one) => one.report === report);
  const cases = [
    ...own(shown.failed).map((found) => toTestCase(found, "failure", describeViolation(found))),
    ...own(shown.accepted).map((found) => toTestCase(found, "skipped", `Accepted by ${found.accepted}.`)),
    ...own(shown.known).map((found) => toTestCase(found, "skipped", "Known from the baseline.")),
    ...(hidden
      ? [
          {
            name: "violations that the report can't list",
            className,
            result: "failure" as const,
            type: "unlisted",
            message: describeUnlisted(hidden),
          },
        ]
      : []),
  ];
  const isOpen = verdict.failed.some((one) => one.report === report);
  if (cases.length > 0 || isOpen) return cases;
  return [{ name: "no open violation among those looked at", className, result: "passed" }];
}

function renderCase({ name, className, result, type, message, text }: Case): VNode {
  const inner = result === "passed" ? [] : [el(result, { type, message }, text)];
  return el("testcase", { name, classname: className }, ...inner);
}
