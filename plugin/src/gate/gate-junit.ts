// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A gate's verdict as JUnit XML, which every CI system shows: one test case per report.

import { markup } from "../render/escape.ts";
import { compare, reportPath, type ViolationRef } from "../reports/report-view.ts";
import { headline, verdict as verdictOf } from "../reports/sentences.ts";
import type { Verdict } from "./gate-verdict.ts";

/** Returns the document; a report without anything that shuts the gate is a case that passed. */
export function junit({ reports, shut }: Verdict): string {
  const failed = new Map<string, ViolationRef[]>();
  for (const found of shut) {
    const path = reportPath(found.report);
    failed.set(path, [...(failed.get(path) ?? []), found]);
  }
  const cases = reports
    .map((report) => ({
      path: reportPath(report),
      group: report.metadata.namespace ?? "cluster",
      name: report.policy.name,
    }))
    .sort((a, b) => compare(a.path, b.path))
    .map(({ path, group, name }) => testCase(group, name, failed.get(path) ?? []));
  if (cases.length === 0) cases.push(testCase("violations", "no report", []));
  const counts = `tests="${cases.length}" failures="${failed.size}" errors="0" skipped="0"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="kubectl violations gate" ${counts}>`,
    `  <testsuite name="policy violations" ${counts}>`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function testCase(group: string, name: string, found: readonly ViolationRef[]): string {
  const head = `    <testcase classname="${markup(group)}" name="${markup(name)}"`;
  if (found.length === 0) return `${head}/>`;
  const told = found.map((one) => `${one.violation.id} ${headline(one)} ${verdictOf(one).join(" ")}`);
  const message = `${found.length} not accepted`;
  const type = markup(found[0]?.report.summary.severity ?? "");
  return `${head}>\n      <failure message="${message}" type="${type}">${told.map(markup).join("\n")}</failure>\n    </testcase>`;
}
