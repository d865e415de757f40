// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `list --watch`: lists again every few seconds and prints the rows that changed. A watch of the API would send every
// changed report whole, asked for or not.

import { renderTable } from "../render/violation-table.ts";
import { type Filter, select } from "../reports/filter.ts";
import { EXIT, type ExitCode } from "../reports/problem.ts";
import { compareWorst, listViolations, reportPath, type ViolationRef } from "../reports/report-view.ts";
import type { Flags } from "./arguments.ts";
import { parseScope, readReports, type Session } from "./session.ts";

const INTERVAL_MS = 5000;

/** Prints what is new or has changed since `shown`, until the user interrupts. */
export async function watchList(
  session: Session,
  flags: Flags,
  filter: Filter,
  shown: readonly ViolationRef[],
): Promise<ExitCode> {
  const { clock, signal, terminal } = session;
  const isAll = parseScope(flags, session).namespace === undefined;
  let last = collectCounts(shown);
  for (;;) {
    await clock.sleep(INTERVAL_MS, signal);
    if (signal.aborted) return EXIT.ok;
    const reports = await readReports(session, flags);
    const { found } = select(reports, listViolations(reports), filter);
    const changed = found.filter((one) => last.get(keyOf(one)) !== one.violation.occurrences);
    last = collectCounts(found);
    if (changed.length === 0) continue;
    const form = { isAll, isWide: flags.output === "wide", hasHeaders: false };
    terminal.out(renderTable(changed.sort(compareWorst), session, form));
  }
}

function keyOf({ report, violation }: ViolationRef): string {
  return `${reportPath(report)}\u0000${violation.id}`;
}

function collectCounts(found: readonly ViolationRef[]): Map<string, number> {
  return new Map(found.map((one) => [keyOf(one), one.violation.occurrences]));
}
