// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `list --watch`: lists again every few seconds and prints the rows that changed. A watch of the API would send every
// changed report whole, asked for or not.

import { renderTable } from "../render/violation-table.ts";
import { type Filter, type Selection, select } from "../reports/filter.ts";
import { EXIT, type ExitCode } from "../reports/problem.ts";
import { compareWorst, listViolations, reportPath, toViolationKey, type ViolationRef } from "../reports/report-view.ts";
import { describeCut } from "../reports/totals.ts";
import type { Flags } from "../session/arguments.ts";
import { parseScope, readCurrentReports, type Session } from "../session/session.ts";

const INTERVAL_MS = 5000;

/** Violations that were printed before the watch. */
export interface Before {
  selection: Selection;
  /** Reason why there may be more than these. */
  doubt: string | undefined;
}

/** Prints what is new or has changed, until the user interrupts, and says when that may no longer be all. */
export async function watchList(session: Session, flags: Flags, filter: Filter, before: Before): Promise<ExitCode> {
  const { clock, signal, terminal } = session;
  const isAll = parseScope(flags, session).namespace === undefined;
  let last = collectCounts(before.selection.found);
  let isDoubtful = before.doubt !== undefined;
  let cutPaths = listPaths(before.selection);
  for (;;) {
    await clock.sleep(INTERVAL_MS, signal);
    if (signal.aborted) return EXIT.ok;
    const { reports, doubt, warn } = await readCurrentReports(session, flags);
    if (doubt !== undefined && !isDoubtful) warn(true);
    isDoubtful = doubt !== undefined;
    const selection = select(reports, listViolations(reports), filter);
    const paths = listPaths(selection);
    if (paths !== "" && paths !== cutPaths) terminal.err(`note: ${describeCut(selection.cut)}, and may match.\n`);
    cutPaths = paths;
    const changed = selection.found.filter((one) => last.get(toViolationKey(one)) !== one.violation.occurrences);
    last = collectCounts(selection.found);
    if (changed.length === 0) continue;
    const form = { isAll, isWide: flags.output === "wide", hasHeaders: false };
    terminal.out(renderTable(changed.sort(compareWorst), session, form));
  }
}

function listPaths({ cut }: Selection): string {
  return cut.map(reportPath).join();
}

function collectCounts(found: readonly ViolationRef[]): Map<string, number> {
  return new Map(found.map((one) => [toViolationKey(one), one.violation.occurrences]));
}
