// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Small parts of pages: labels, links and notes.

import { K8s } from "@kinvolk/headlamp-plugin/lib";
import { DateLabel, Link, StatusLabel } from "@kinvolk/headlamp-plugin/lib/CommonComponents";
import { Alert, Box, Typography } from "@mui/material";
import type { ReactNode } from "react";
import { formatTitle, type ViolationRef } from "../../../plugin/src/reports/report-view.ts";
import { toMs } from "../../../plugin/src/reports/when.ts";
import { plain } from "../../../plugin/src/text/escape.ts";
import type { OpenSeverity, Outcome, Report, Violation } from "../../../src/api/v1alpha1.ts";
import { NO_NAMESPACE, ROUTE } from "../cluster/resources.ts";

const OUTCOME_STATUS = { Allowed: "error", Unknown: "warning", Prevented: "success" } as const;

export function OutcomeLabel({ outcome }: { outcome: Outcome }) {
  return <StatusLabel status={OUTCOME_STATUS[outcome]}>{outcome}</StatusLabel>;
}

export function SeverityLabel({ level }: { level: OpenSeverity }) {
  const status = level === "critical" || level === "high" ? "error" : level === "medium" ? "warning" : "";
  return <StatusLabel status={status}>{level}</StatusLabel>;
}

/** Age of a time of a report, with the whole time on hovering. */
export function Age({ time }: { time: string }) {
  return <DateLabel date={toMs(time)} format="mini" />;
}

/** Sentences on the limits of what a page shows. */
export function Notes({ notes }: { notes: readonly string[] }) {
  if (notes.length === 0) return null;
  return (
    <Box my={1}>
      {notes.map((note) => (
        <Alert key={note} severity="info" variant="outlined" sx={{ mb: 1 }}>
          {note}
        </Alert>
      ))}
    </Box>
  );
}

/** Sentences as a paragraph. */
export function Sentences({ children }: { children: readonly string[] }) {
  return (
    <Typography component="p" sx={{ my: 1, overflowWrap: "anywhere" }}>
      {children.join(" ")}
    </Typography>
  );
}

function getParams({ metadata }: Report) {
  return { namespace: metadata.namespace ?? NO_NAMESPACE, name: metadata.name };
}

interface LinkTarget {
  report: Report;
  cluster?: string;
  children: ReactNode;
}

export function ReportLink({ report, cluster, children }: LinkTarget) {
  return (
    <Link routeName={ROUTE.report} params={getParams(report)} {...(cluster ? { activeCluster: cluster } : {})}>
      {children}
    </Link>
  );
}

/** The violation in a few words, with a link to its page. */
export function ViolationLink({ found, cluster }: { found: ViolationRef; cluster?: string }) {
  const { report, violation } = found;
  return (
    <Link
      routeName={ROUTE.violation}
      params={{ ...getParams(report), id: violation.id }}
      {...(cluster ? { activeCluster: cluster } : {})}
    >
      {plain(formatTitle(violation))}
    </Link>
  );
}

/** The workload, with a link to its page where Headlamp has one and the name is not folded. */
export function WorkloadLink({ workload, namespace, cluster }: WorkloadLinkProps) {
  const text = `${workload.kind}/${plain(workload.name)}`;
  const hasPage = workload.kind in K8s.ResourceClasses && !workload.name.includes("*");
  if (!hasPage || (namespace === "" && workload.kind !== "Node")) return <>{text}</>;
  const params = { name: workload.name, ...(workload.kind === "Node" ? {} : { namespace }) };
  return (
    <Link routeName={workload.kind} params={params} {...(cluster ? { activeCluster: cluster } : {})}>
      {text}
    </Link>
  );
}

interface WorkloadLinkProps {
  workload: Violation["workload"];
  /** Empty for a host's. */
  namespace: string;
  cluster?: string;
}
