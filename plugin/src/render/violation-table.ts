// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The columns of a violation, and its row as data: the same in every command.

import { age } from "../../../src/lib/age.ts";
import { deedOf, isLowerBound, namespaceOf, type ViolationRef } from "../reports/report-view.ts";
import { msOf } from "../reports/when.ts";
import type { Colors } from "./colors.ts";
import type { Column } from "./columns.ts";
import { plain } from "./escape.ts";

interface TableForm {
  all: boolean;
  isWide: boolean;
  nowMs: number;
  paint: Colors;
}

/** The columns of the table; what was not known is empty. */
export function columnsFor({ all, isWide, nowMs, paint }: TableForm): Column<ViolationRef>[] {
  const ago = (time: string) => age(nowMs - msOf(time));
  const columns: (Column<ViolationRef> | false)[] = [
    all && {
      title: "NAMESPACE",
      narrowTitle: "NS",
      cell: (f) => plain(namespaceOf(f)),
      minWidth: 10,
      narrowMinWidth: 6,
    },
    {
      title: "SEVERITY",
      cell: ({ report }) => plain(report.summary.severity),
      style: (text, { report }) => paint.severity(report.summary.severity, text),
    },
    {
      title: "OUTCOME",
      cell: ({ violation }) => plain(violation.outcome),
      style: (text, { violation }) => paint.outcome(violation.outcome, text),
    },
    {
      title: "WORKLOAD",
      cell: ({ violation: { workload } }) => plain(`${workload.kind}/${workload.name}`),
      minWidth: 18,
      narrowMinWidth: 12,
    },
    isWide && { title: "CONTAINER", cell: ({ violation }) => plain(violation.container ?? "") },
    {
      title: "VIOLATION",
      cell: ({ violation }) => plain(deedOf(violation)),
      minWidth: 22,
      narrowMinWidth: 12,
    },
    { title: "POLICY", cell: ({ report }) => plain(report.policy.name), minWidth: 18, isOptional: true },
    isWide && { title: "ACTION", cell: ({ violation }) => plain(violation.action ?? "") },
    {
      title: "COUNT",
      cell: (f) => `${f.violation.occurrences}${isLowerBound(f) ? "+" : ""}`,
      align: "right",
    },
    isWide && { title: "PODS", cell: ({ violation }) => String(violation.pods?.length ?? 0), align: "right" },
    isWide && { title: "FIRST SEEN", cell: ({ violation }) => ago(violation.firstSeen) },
    { title: "LAST SEEN", narrowTitle: "SEEN", cell: ({ violation }) => ago(violation.lastSeen) },
    isWide && { title: "ACCEPTED BY", cell: ({ accepted }) => plain(accepted ?? "") },
    {
      title: "ID",
      cell: ({ violation }) => plain(violation.id),
      style: (text) => paint.dim(text),
      minWidth: 8,
      isPrefix: true,
    },
  ];
  return columns.filter((column) => column !== false);
}

/** A row of the table in full, for programs: what the report holds, and where it was found. */
export function rowOf({ report, violation, accepted }: ViolationRef): Record<string, unknown> {
  const { name, namespace } = report.metadata;
  return {
    report: { kind: report.kind, ...(namespace === undefined ? {} : { namespace }), name },
    policy: report.policy,
    severity: report.summary.severity,
    ...violation,
    ...(accepted === undefined ? {} : { accepted }),
    lowerBound: isLowerBound({ report, violation, accepted }),
  };
}
