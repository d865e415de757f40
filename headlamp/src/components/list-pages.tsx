// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pages with lists: violations of all reports, and reports.

import { Loader, SectionBox, Table } from "@kinvolk/headlamp-plugin/lib/CommonComponents";
import { FormControlLabel, Switch, Typography } from "@mui/material";
import { useState } from "react";
import { getSeverityRank } from "../../../plugin/src/reports/report-view.ts";
import { toMs } from "../../../plugin/src/reports/when.ts";
import { formatCount, plural } from "../../../plugin/src/reports/words.ts";
import { plain } from "../../../plugin/src/text/escape.ts";
import type { OpenSeverity, Outcome, Report } from "../../../src/api/v1alpha1.ts";
import { useHeartbeat, useReports } from "../cluster/resources.ts";
import { readLeaseNamespace } from "../cluster/settings.ts";
import { formatAmount, getOpenCounts, sumOpenCounts } from "../model/amounts.ts";
import { listWorstFirst } from "../model/findings.ts";
import { describeLimits, describeNone } from "../model/notes.ts";
import { Age, Notes, ReportLink, SeverityLabel } from "./labels.tsx";
import { ViolationTable } from "./violation-table.tsx";

/** Totals of the summaries, which no limit cuts. */
function Totals({ reports, isPartial }: { reports: readonly Report[]; isPartial: boolean }) {
  // Nothing could be read: the notes say so, and a number would not.
  if (isPartial && reports.length === 0) return null;
  const totals = sumOpenCounts(reports, isPartial);
  const format = (n: number) => formatAmount(n, totals.isAtLeast);
  return (
    <Typography component="p" sx={{ my: 1 }}>
      {format(totals.violations)} {plural(totals.violations, "violation")} in {formatCount(reports.length, "report")},
      accepted ones not counted: {format(totals.Allowed)} allowed, {format(totals.Unknown)} with an unknown outcome,{" "}
      {format(totals.Prevented)} prevented.
    </Typography>
  );
}

/** Every listed violation of the cluster. */
export function ViolationList() {
  const { reports, errors, clusters } = useReports();
  const heartbeat = useHeartbeat(readLeaseNamespace());
  const [withAccepted, setWithAccepted] = useState(false);
  if (reports === undefined) return <Loader title="Loading reports" />;
  const all = listWorstFirst(reports);
  const shown = withAccepted ? all : all.filter(({ accepted }) => accepted === undefined);
  const accepted = all.filter((found) => found.accepted !== undefined).length;
  return (
    <SectionBox title="KubeArmor violations">
      <Totals reports={reports} isPartial={errors.length > 0} />
      <Notes notes={describeLimits(reports, errors, heartbeat)} />
      {accepted > 0 && (
        <FormControlLabel
          control={<Switch checked={withAccepted} onChange={(_, checked) => setWithAccepted(checked)} />}
          label={`Show ${formatCount(accepted, "accepted violation")}`}
        />
      )}
      <ViolationTable
        findings={shown.map((found) => ({ found, occurrences: found.violation.occurrences }))}
        clusters={clusters}
        emptyMessage={describeNone({ reports, errors })}
      />
    </SectionBox>
  );
}

interface Row {
  row: { original: Report };
}

const OUTCOMES: readonly Outcome[] = ["Allowed", "Unknown", "Prevented"];

function getSeverity({ summary }: Report): OpenSeverity {
  return summary.open?.severity ?? summary.severity;
}

/** Rank of what is open; -1 where everything is accepted. */
function getRank(report: Report): number {
  const level = getSeverity(report);
  return level === "accepted" ? -1 : getSeverityRank(level);
}

/** Every report, with the columns of `kubectl get pvr`. */
export function ReportList() {
  const { reports, errors, clusters } = useReports();
  const heartbeat = useHeartbeat(readLeaseNamespace());
  if (reports === undefined) return <Loader title="Loading reports" />;
  const getNamespace = ({ metadata }: Report) => metadata.namespace ?? "(cluster)";
  const namespaces = [...new Set(reports.map(getNamespace))].sort();
  const worstFirst = reports.toSorted((a, b) => getRank(b) - getRank(a));
  const getCluster = (report: Report) => clusters.get(report) ?? "";
  const clusterNames = [...new Set(reports.map(getCluster))].sort();
  const columns = [
    clusterNames.length > 1 && {
      id: "cluster",
      header: "Cluster",
      accessorFn: getCluster,
      filterVariant: "multi-select" as const,
      filterSelectOptions: clusterNames,
    },
    {
      id: "name",
      header: "Report",
      gridTemplate: 3,
      accessorFn: ({ metadata }: Report) => metadata.name,
      Cell: ({ row }: Row) => (
        <ReportLink report={row.original} cluster={clusters.get(row.original)}>
          {plain(row.original.metadata.name)}
        </ReportLink>
      ),
    },
    {
      id: "namespace",
      header: "Namespace",
      accessorFn: getNamespace,
      filterVariant: "multi-select" as const,
      filterSelectOptions: namespaces,
    },
    { id: "kind", header: "Policy kind", gridTemplate: 2, accessorFn: ({ policy }: Report) => policy.kind },
    {
      id: "severity",
      header: "Severity",
      gridTemplate: "min-content",
      accessorFn: getSeverity,
      sortingFn: (a: Row["row"], b: Row["row"]) => getRank(a.original) - getRank(b.original),
      Cell: ({ row }: Row) => <SeverityLabel level={getSeverity(row.original)} />,
      filterVariant: "multi-select" as const,
      filterSelectOptions: ["critical", "high", "medium", "low", "unknown", "info", "accepted"],
    },
    ...OUTCOMES.map((outcome) => ({
      id: outcome,
      header: outcome,
      gridTemplate: "min-content",
      accessorFn: (report: Report) => getOpenCounts(report)[outcome],
      Cell: ({ row }: Row) => (
        <>{formatAmount(getOpenCounts(row.original)[outcome], row.original.coverage.lowerBound)}</>
      ),
      enableColumnFilter: false,
    })),
    {
      id: "lastSeen",
      header: "Last seen",
      gridTemplate: "min-content",
      accessorFn: ({ summary }: Report) => -toMs(summary.lastSeen),
      Cell: ({ row }: Row) => <Age time={row.original.summary.lastSeen} />,
      enableColumnFilter: false,
    },
  ].filter((column) => column !== false);
  return (
    <SectionBox title="KubeArmor violation reports">
      <Totals reports={reports} isPartial={errors.length > 0} />
      <Notes notes={describeLimits(reports, errors, heartbeat)} />
      <Table data={worstFirst} columns={columns} emptyMessage={describeNone({ reports, errors })} />
    </SectionBox>
  );
}
