// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A table of violations with filters, the worst first.

import { Table } from "@kinvolk/headlamp-plugin/lib/CommonComponents";
import {
  formatTitle,
  getNamespace,
  getSeverityLevel,
  getSeverityRank,
  isLowerBound,
  SEVERITIES,
} from "../../../plugin/src/reports/report-view.ts";
import { toMs } from "../../../plugin/src/reports/when.ts";
import { plain } from "../../../plugin/src/text/escape.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { formatAmount } from "../model/amounts.ts";
import type { Finding } from "../model/findings.ts";
import { Age, OutcomeLabel, ReportLink, SeverityLabel, ViolationLink, WorkloadLink } from "./labels.tsx";

interface ViolationTableProps {
  findings: readonly Finding[];
  /** Headlamp's cluster of each report. */
  clusters?: ReadonlyMap<Report, string>;
  emptyMessage: string;
  /** Leaves out the columns that every row has in common. */
  isOneReport?: boolean;
}

/** Values that a filter offers: those that occur. */
function listChoices(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

export function ViolationTable({ findings, clusters, emptyMessage, isOneReport }: ViolationTableProps) {
  const getCluster = ({ found }: Finding) => clusters?.get(found.report);
  const getPlace = ({ found }: Finding) => getNamespace(found) || "(host)";
  const names = listChoices(findings.map(getPlace));
  const clusterNames = listChoices(findings.map((finding) => getCluster(finding) ?? ""));
  const columns = [
    clusterNames.length > 1 && {
      id: "cluster",
      header: "Cluster",
      accessorFn: (finding: Finding) => getCluster(finding) ?? "",
      filterVariant: "multi-select" as const,
      filterSelectOptions: clusterNames,
    },
    {
      id: "severity",
      header: "Severity",
      gridTemplate: "min-content",
      accessorFn: ({ found }: Finding) => getSeverityLevel(found),
      sortingFn: (a: { original: Finding }, b: { original: Finding }) =>
        getSeverityRank(getSeverityLevel(a.original.found)) - getSeverityRank(getSeverityLevel(b.original.found)),
      Cell: ({ row }: Row) => <SeverityLabel level={getSeverityLevel(row.original.found)} />,
      filterVariant: "multi-select" as const,
      filterSelectOptions: SEVERITIES.toReversed(),
    },
    {
      id: "outcome",
      header: "Outcome",
      gridTemplate: "min-content",
      accessorFn: ({ found }: Finding) => found.violation.outcome,
      Cell: ({ row }: Row) => <OutcomeLabel outcome={row.original.found.violation.outcome} />,
      filterVariant: "multi-select" as const,
      filterSelectOptions: ["Allowed", "Unknown", "Prevented"],
    },
    {
      id: "occurrences",
      header: "Occurrences",
      gridTemplate: "min-content",
      accessorFn: ({ occurrences }: Finding) => occurrences ?? -1,
      Cell: ({ row }: Row) => <>{formatAmount(row.original.occurrences, isLowerBound(row.original.found))}</>,
      enableColumnFilter: false,
    },
    {
      id: "violation",
      header: "Violation",
      gridTemplate: 3,
      accessorFn: ({ found }: Finding) => plain(formatTitle(found.violation)),
      Cell: ({ row }: Row) => <ViolationLink found={row.original.found} cluster={getCluster(row.original)} />,
    },
    !isOneReport && {
      id: "namespace",
      header: "Namespace",
      accessorFn: getPlace,
      filterVariant: "multi-select" as const,
      filterSelectOptions: names,
    },
    {
      id: "workload",
      header: "Workload",
      gridTemplate: 2,
      accessorFn: ({ found }: Finding) => `${found.violation.workload.kind}/${plain(found.violation.workload.name)}`,
      Cell: ({ row }: Row) => (
        <WorkloadLink
          workload={row.original.found.violation.workload}
          namespace={getNamespace(row.original.found)}
          cluster={getCluster(row.original)}
        />
      ),
    },
    !isOneReport && {
      id: "policy",
      header: "Policy",
      gridTemplate: 2,
      accessorFn: ({ found }: Finding) => plain(found.report.policy.name),
      Cell: ({ row }: Row) => (
        <ReportLink report={row.original.found.report} cluster={getCluster(row.original)}>
          {plain(row.original.found.report.policy.name)}
        </ReportLink>
      ),
    },
    { id: "accepted", header: "Accepted by", accessorFn: ({ found }: Finding) => plain(found.accepted ?? "") },
    {
      id: "lastSeen",
      header: "Last seen",
      gridTemplate: "min-content",
      accessorFn: ({ found }: Finding) => -toMs(found.violation.lastSeen),
      Cell: ({ row }: Row) => <Age time={row.original.found.violation.lastSeen} />,
      enableColumnFilter: false,
    },
  ].filter((column) => column !== false);
  const hasAccepted = findings.some(({ found }) => found.accepted !== undefined);
  return (
    <Table
      data={[...findings]}
      columns={hasAccepted ? columns : columns.filter(({ id }) => id !== "accepted")}
      emptyMessage={emptyMessage}
    />
  );
}

interface Row {
  row: { original: Finding };
}
