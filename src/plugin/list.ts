// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `list`: violations as a table that fits the terminal, or as data.

import { stringify } from "yaml";
import { API_GROUP } from "../api/names.ts";
import type { Flags } from "./arguments.ts";
import type { Colors } from "./colors.ts";
import { type Column, layOut } from "./columns.ts";
import { plain, plainData } from "./escape.ts";
import { parseFilter, select } from "./filter.ts";
import { EXIT, type ExitCode, wrongCall } from "./problem.ts";
import { byWorst, deedOf, type Found, isLowerBound, namespaceOf, violationsOf } from "./report-view.ts";
import { colorsOf, placeOf, reportsOf, type Session, scopeOf, wholeNumber } from "./session.ts";
import { age, msOf } from "./when.ts";

const FORMS = ["wide", "json", "yaml", "name"];
/** Lines on a screen, unless told otherwise: more than that nobody reads. */
const SCREEN_LIMIT = 100;

/** Lists what the flags ask for. */
export async function list(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal, clock } = session;
  const { output } = flags;
  if (output !== undefined && !FORMS.includes(output)) {
    throw wrongCall(`-o "${output}" is no form: it must be ${FORMS.join(", ")}`);
  }
  const nowMs = clock.nowMs();
  const filter = parseFilter(flags, nowMs);
  const limit = limitOf(flags, session);
  const { found, hidden } = select(violationsOf(await reportsOf(session, flags)), filter);
  found.sort(byWorst);
  if (output === "json" || output === "yaml") {
    terminal.out(asData(found, output));
    return EXIT.ok;
  }
  if (output === "name") {
    const names = new Set(
      found.map(({ report }) => `${report.kind.toLowerCase()}.${API_GROUP}/${report.metadata.name}`),
    );
    terminal.out([...names].map((name) => `${plain(name)}\n`).join(""));
    return EXIT.ok;
  }
  if (found.length === 0) {
    terminal.err(`No violations found ${placeOf(scopeOf(flags, session))}.\n`);
  } else {
    const isWide = output === "wide";
    const all = scopeOf(flags, session).namespace === undefined;
    const columns = columnsFor({ all, isWide, nowMs, paint: colorsOf(session) });
    const shown = found.slice(0, limit);
    terminal.out(layOut(columns, shown, isWide ? undefined : terminal.columns));
    if (shown.length < found.length) {
      terminal.err(
        `… and ${found.length - shown.length} more; --limit 0 shows all, --severity and --since fewer.\n`,
      );
    }
  }
  if (hidden > 0)
    terminal.err(
      `${hidden} accepted ${hidden === 1 ? "violation is" : "violations are"} not shown; --accepted shows them.\n`,
    );
  return EXIT.ok;
}

function limitOf(flags: Flags, { terminal }: Session): number {
  if (flags.limit === undefined) return terminal.isInteractive ? SCREEN_LIMIT : Number.POSITIVE_INFINITY;
  return wholeNumber("--limit", flags.limit, 0, 1_000_000) || Number.POSITIVE_INFINITY;
}

interface TableForm {
  all: boolean;
  isWide: boolean;
  nowMs: number;
  paint: Colors;
}

/** The columns of the table; what was not known is empty. */
export function columnsFor({ all, isWide, nowMs, paint }: TableForm): Column<Found>[] {
  const ago = (time: string) => age(nowMs - msOf(time));
  const columns: (Column<Found> | false)[] = [
    all && { title: "NAMESPACE", narrowTitle: "NS", cell: (f) => plain(namespaceOf(f)), minWidth: 6 },
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
      minWidth: 12,
    },
    isWide && { title: "CONTAINER", cell: ({ violation }) => plain(violation.container ?? "") },
    { title: "VIOLATION", cell: ({ violation }) => plain(deedOf(violation)), minWidth: 12 },
    { title: "POLICY", cell: ({ report }) => plain(report.policy.name), minWidth: 10, isOptional: true },
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

/** What the table shows, in full, for programs: `violations` holds what the report does and where it was found. */
function asData(found: readonly Found[], form: "json" | "yaml"): string {
  const violations = found.map(({ report, violation, accepted }) => ({
    report: {
      kind: report.kind,
      ...(report.metadata.namespace === undefined ? {} : { namespace: report.metadata.namespace }),
      name: report.metadata.name,
    },
    policy: report.policy,
    severity: report.summary.severity,
    ...(accepted === undefined ? {} : { accepted }),
    ...violation,
    lowerBound: isLowerBound({ report, violation, accepted }),
  }));
  const data = plainData({ violations });
  if (form === "json") return `${JSON.stringify(data, null, 2)}\n`;
  return stringify(data, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    compat: "yaml-1.1",
    indentSeq: false,
  });
}
