// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The columns of a violation, and its row as data: the same in every command.

import { formatAge } from "../../../src/lib/time.ts";
import { formatNamespace } from "../reports/policy-rule.ts";
import {
  countUnlistedPods,
  formatTitle,
  getNamespace,
  getRuleFacts,
  getSeverityLevel,
  isLowerBound,
  type ViolationRef,
} from "../reports/report-view.ts";
import { toMs } from "../reports/when.ts";
import { formatWorkload } from "../reports/words.ts";
import type { Colors } from "../session/colors.ts";
import { getColors, type Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { type Column, layOut } from "./columns.ts";

export interface TableForm {
  /** True for a table of several namespaces. */
  isAll: boolean;
  isWide?: boolean;
  hasHeaders?: boolean;
}

/** Prints a table for the session's terminal; -o wide is never cut. */
export function renderTable(rows: readonly ViolationRef[], session: Session, form: TableForm): string {
  const { isWide = false, hasHeaders = true } = form;
  const columns = createViolationColumns(form, session.clock.nowMs(), getColors(session));
  const table = layOut(columns, rows, isWide ? undefined : session.terminal.columns);
  return hasHeaders ? table : table.slice(table.indexOf("\n") + 1);
}

function createViolationColumns(
  { isAll, isWide = false }: TableForm,
  nowMs: number,
  paint: Colors,
): Column<ViolationRef>[] {
  const ago = (time: string) => formatAge(nowMs - toMs(time));
  const columns: (Column<ViolationRef> | false)[] = [
    isAll && { title: "NAMESPACE", cell: (found) => plain(formatNamespace(found)), minWidth: 12 },
    {
      title: "SEVERITY",
      cell: (found) => getSeverityLevel(found),
      style: (text, found) => paint.severity(getSeverityLevel(found), text),
    },
    {
      title: "OUTCOME",
      cell: ({ violation }) => violation.outcome,
      style: (text, { violation }) => paint.outcome(violation.outcome, text),
    },
    { title: "COUNT", cell: (f) => `${f.violation.occurrences}${isLowerBound(f) ? "+" : ""}`, align: "right" },
    isWide && { title: "FIRST", cell: ({ violation }) => ago(violation.firstSeen) },
    { title: "SEEN", cell: ({ violation }) => ago(violation.lastSeen) },
    { title: "WORKLOAD", cell: ({ violation: { workload } }) => plain(formatWorkload(workload)), minWidth: 18 },
    isWide && { title: "CONTAINER", cell: ({ violation }) => plain(violation.container ?? "-") },
    isWide && {
      title: "PODS",
      cell: ({ violation }) => `${violation.pods?.length ?? 0}${countUnlistedPods(violation) > 0 ? "+" : ""}`,
      align: "right",
    },
    { title: "POLICY", cell: ({ report }) => plain(report.policy.name), minWidth: 16, isOptional: !isWide },
    isWide && { title: "ACTION", cell: ({ violation }) => plain(violation.action ?? "-") },
    isWide && { title: "ACCEPTED BY", cell: ({ accepted }) => plain(accepted ?? "-") },
    isWide && { title: "ID", cell: ({ violation }) => plain(violation.id) },
    { title: "VIOLATION", cell: ({ violation }) => plain(formatTitle(violation)) },
  ];
  return columns.filter((column) => column !== false);
}

/** A violation in full, for programs, with the report that lists it. */
export function toRow(found: ViolationRef): Record<string, unknown> {
  const { report, violation, accepted } = found;
  const { name, namespace } = report.metadata;
  const { message, tags } = getRuleFacts(found);
  return {
    report: { kind: report.kind, ...(namespace === undefined ? {} : { namespace }), name },
    policy: report.policy,
    ...violation,
    severity: getSeverityLevel(found),
    ...(message === undefined ? {} : { message }),
    tags,
    ...(accepted === undefined ? {} : { accepted }),
    lowerBound: isLowerBound(found),
  };
}

/** The same, flat: a column of CSV per field. */
export function toFlatRow(found: ViolationRef): Record<string, string | number> {
  const { report, violation, accepted } = found;
  const { message, tags } = getRuleFacts(found);
  const { workload } = violation;
  return {
    id: violation.id,
    namespace: getNamespace(found),
    report: report.metadata.name,
    policy: report.policy.name,
    severity: getSeverityLevel(found),
    outcome: violation.outcome,
    action: violation.action ?? "",
    operation: violation.operation,
    verb: violation.verb ?? "",
    workload: `${workload.kind}/${workload.name}`,
    container: violation.container ?? "",
    source: violation.source ?? "",
    resource: violation.resource ?? "",
    occurrences: violation.occurrences,
    lowerBound: String(isLowerBound(found)),
    firstSeen: violation.firstSeen,
    lastSeen: violation.lastSeen,
    acceptedBy: accepted ?? "",
    tags: tags.join(" "),
    message: message ?? "",
  };
}
