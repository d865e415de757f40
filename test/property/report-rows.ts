// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports as rows of text, to be compared with tables that were written by hand.

import type { Report } from "../../src/api/v1alpha1.ts";

/** The rows of a table of reports, with namespace and name as refOf gives them. */
export function readRows(table: string): string[] {
  return table
    .trim()
    .split("\n")
    .map((row) => row.replace(/ +/g, " ").replace(" ", "/"));
}

export function getReportRef({ metadata }: Report): string {
  return `${metadata.namespace ?? "-"}/${metadata.name}`;
}

/** The report that `ref` names; throws without one. */
export function findReport(reports: readonly Report[], ref: string): Report {
  const report = reports.find((each) => getReportRef(each) === ref);
  if (!report) throw new Error(`no report ${ref}`);
  return report;
}

export function formatSummaryRow(report: Report): string {
  const { occurrences, prevented, allowed, unknown, violations, workloads, pods, nodes, severity } = report.summary;
  const outcomes = `${occurrences} ${prevented} ${allowed} ${unknown}`;
  return `${getReportRef(report)} ${outcomes} ${violations} ${workloads} ${pods} ${nodes} ${severity}`;
}

export function formatViolationRows(report: Report): string[] {
  return report.violations.map((v) =>
    [
      getReportRef(report),
      report.policy.kind,
      `${v.workload.kind}/${v.workload.name}`,
      v.container ?? "",
      `${v.operation} ${v.verb ?? ""} ${v.action ?? ""} ${v.outcome}`,
      `${v.source ?? ""} -> ${v.resource ?? ""}`,
      (v.pods ?? []).map(({ name, node }) => `${name}@${node}`).join(","),
    ].join(" | "),
  );
}
