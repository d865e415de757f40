// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pages of one report and of one violation.

import { Loader, NameValueTable, SectionBox, SimpleTable } from "@kinvolk/headlamp-plugin/lib/CommonComponents";
import { useParams } from "react-router-dom";
import {
  describePolicyObjects,
  getNamespace,
  getRuleFacts,
  getSeverityLevel,
  isLowerBound,
  listViolations,
  reportPath,
  type ViolationRef,
} from "../../../plugin/src/reports/report-view.ts";
import {
  describeCoverage,
  describeExtent,
  describeRule,
  describeViolation,
  listEvidence,
} from "../../../plugin/src/reports/sentences.ts";
import { formatTime } from "../../../plugin/src/reports/when.ts";
import { formatSentence } from "../../../plugin/src/reports/words.ts";
import { plain, toShellWord } from "../../../plugin/src/text/escape.ts";
import { CLUSTER_LABEL } from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { NO_NAMESPACE, useReport } from "../cluster/resources.ts";
import { formatAmount } from "../model/amounts.ts";
import { listWorstFirst } from "../model/findings.ts";
import { readBars } from "../model/history-bars.ts";
import { describeListError } from "../model/notes.ts";
import { HistoryChart } from "./history-chart.tsx";
import { Notes, OutcomeLabel, ReportLink, Sentences, SeverityLabel, WorkloadLink } from "./labels.tsx";
import { ViolationTable } from "./violation-table.tsx";

/** Reads the report that the path names, and shows it. */
function useReportOfPath(): { report: Report } | { element: JSX.Element } {
  const { namespace = NO_NAMESPACE, name = "" } = useParams<{ namespace: string; name: string }>();
  const { report, error } = useReport(namespace, name);
  if (report) return { report };
  if (!error) return { element: <Loader title="Loading report" /> };
  const path = namespace === NO_NAMESPACE ? name : `${namespace}/${name}`;
  const note =
    error.status === 404
      ? `There is no report ${path}. It may have been deleted after its retention.`
      : describeListError(error);
  return {
    element: (
      <SectionBox title={path} backLink>
        <Notes notes={[note]} />
      </SectionBox>
    ),
  };
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Facts({ report }: { report: Report }) {
  const { policy, summary, coverage, metadata } = report;
  const open = summary.open ?? summary;
  const format = (n: number) => formatAmount(n, coverage.lowerBound);
  const cluster = metadata.labels?.[CLUSTER_LABEL];
  const counts = (each: { allowed: number; unknown: number; prevented: number }) =>
    `${format(each.allowed)} allowed, ${format(each.unknown)} unknown, ${format(each.prevented)} prevented`;
  const rows = [
    { name: "Policy", value: `${plain(policy.name)} (${policy.kind})` },
    { name: "Severity", value: <SeverityLabel level={summary.severity} /> },
    { name: "Message", value: plain(policy.message ?? ""), hide: !policy.message },
    { name: "Tags", value: (policy.tags ?? []).map(plain).join(", "), hide: !policy.tags?.length },
    { name: "Occurrences", value: `${format(summary.occurrences)}: ${counts(summary)}` },
    { name: "Not accepted", value: `${format(open.occurrences)}: ${counts(open)}`, hide: !summary.accepted },
    {
      name: "Distinct",
      value:
        `${format(summary.violations)} violations, ${format(summary.workloads)} workloads, ` +
        `${format(summary.pods)} pods, ${format(summary.nodes)} nodes`,
    },
    { name: "First seen", value: formatTime(summary.firstSeen) },
    { name: "Last seen", value: formatTime(summary.lastSeen) },
    { name: "Cluster", value: plain(cluster ?? ""), hide: !cluster },
    ...describePolicyObjects(report).map(([name, value]) => ({ name: capitalize(name), value: plain(value) })),
  ];
  return <NameValueTable rows={rows} />;
}

export function ReportDetails() {
  const found = useReportOfPath();
  if ("element" in found) return found.element;
  const { report } = found;
  const history = readBars(report);
  return (
    <>
      <SectionBox title={`Report ${plain(reportPath(report))}`} backLink>
        <Facts report={report} />
      </SectionBox>
      <SectionBox title="Data completeness">
        <Sentences>{describeCoverage(report)}</Sentences>
      </SectionBox>
      <SectionBox title="History">
        {history ? <HistoryChart history={history} /> : "Unknown: the report has no history."}
      </SectionBox>
      <SectionBox title="Violations">
        <ViolationTable
          findings={listWorstFirst([report]).map((each) => ({ found: each, occurrences: each.violation.occurrences }))}
          emptyMessage="No violation is listed; the totals keep those that left the list."
          isOneReport
        />
      </SectionBox>
    </>
  );
}

function Pods({ found }: { found: ViolationRef }) {
  const { pods = [] } = found.violation;
  if (pods.length === 0) return null;
  return (
    <SectionBox title="Most recent pods">
      <SimpleTable
        data={pods}
        columns={[
          {
            label: "Pod",
            getter: ({ name }) => <WorkloadLink workload={{ kind: "Pod", name }} namespace={getNamespace(found)} />,
          },
          { label: "Node", getter: ({ node }) => plain(node ?? "unknown") },
          { label: "Occurrences", getter: (pod) => formatAmount(pod.occurrences, isLowerBound(found)) },
          { label: "Last seen", getter: ({ lastSeen }) => formatTime(lastSeen) },
        ]}
      />
    </SectionBox>
  );
}

function Evidence({ found }: { found: ViolationRef }) {
  const evidence = listEvidence(found.violation);
  const title = "Evidence: the newest alert, secrets masked";
  if (evidence.length === 0) return <SectionBox title={title}>The report has none.</SectionBox>;
  return (
    <SectionBox title={title}>
      <NameValueTable rows={evidence.map(([name, value]) => ({ name: capitalize(name), value }))} />
    </SectionBox>
  );
}

export function ViolationDetails() {
  const { id } = useParams<{ id: string }>();
  const page = useReportOfPath();
  if ("element" in page) return page.element;
  const { report } = page;
  const found = listViolations([report]).find(({ violation }) => violation.id === id);
  if (found === undefined) {
    const note = `The report ${plain(reportPath(report))} does not list the violation ${plain(id)}: it left the list.`;
    return (
      <SectionBox title={`Violation ${plain(id)}`} backLink>
        <Notes notes={[note, ...describeCoverage(report)]} />
      </SectionBox>
    );
  }
  const { violation, accepted } = found;
  const { tags } = getRuleFacts(found);
  const namespace = getNamespace(found);
  const rows = [
    { name: "Outcome", value: <OutcomeLabel outcome={violation.outcome} /> },
    { name: "Severity", value: <SeverityLabel level={getSeverityLevel(found)} /> },
    { name: "Workload", value: <WorkloadLink workload={violation.workload} namespace={namespace} /> },
    { name: "Report", value: <ReportLink report={report}>{plain(reportPath(report))}</ReportLink> },
    { name: "Occurrences", value: formatAmount(violation.occurrences, isLowerBound(found)) },
    { name: "Accepted by", value: plain(accepted ?? ""), hide: accepted === undefined },
    { name: "Tags", value: tags.map(plain).join(", "), hide: tags.length === 0 },
    { name: "What to do", value: `kubectl violations explain ${toShellWord(violation.id)}` },
  ];
  return (
    <>
      <SectionBox title={`Violation ${plain(violation.id)}`} backLink>
        <Sentences>{[formatSentence(describeViolation(found)), ...describeRule(found)]}</Sentences>
        <Sentences>{describeExtent(found, Date.now())}</Sentences>
        <NameValueTable rows={rows} />
      </SectionBox>
      <Evidence found={found} />
      <Pods found={found} />
      <SectionBox title="Data completeness">
        <Sentences>{describeCoverage(report)}</Sentences>
      </SectionBox>
    </>
  );
}
