// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `list`: violations as a table that fits the terminal, or as data.

import { stringify } from "yaml";
import { API_GROUP } from "../../../src/api/names.ts";
import { layOut } from "../render/columns.ts";
import { plain, plainData } from "../render/escape.ts";
import { columnsFor, rowOf } from "../render/violation-table.ts";
import { parseFilter, select } from "../reports/filter.ts";
import { EXIT, type ExitCode, usageError } from "../reports/problem.ts";
import { byWorst, type ViolationRef, violationsOf } from "../reports/report-view.ts";
import type { Flags } from "./arguments.ts";
import { colorsOf, placeOf, reportsOf, type Session, scopeOf, wholeNumber } from "./session.ts";
import { watchList } from "./top.ts";

const FORMS = ["wide", "json", "yaml", "name"];
/** Lines on a screen, unless told otherwise: more than that nobody reads. */
const SCREEN_LIMIT = 100;

/** Lists what the flags ask for. */
export async function list(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal, clock } = session;
  const { output } = flags;
  if (output !== undefined && !FORMS.includes(output)) {
    throw usageError(`-o "${output}" is no form: it must be ${FORMS.join(", ")}`);
  }
  const nowMs = clock.nowMs();
  const filter = parseFilter(flags, nowMs);
  const limit = limitOf(flags, session);
  const { found, hidden } = select(violationsOf(await reportsOf(session, flags)), filter);
  found.sort(byWorst);
  if (flags.watch && output !== undefined && output !== "wide")
    throw usageError(`-w shows a table: it can't go with -o ${output}`);
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
  return flags.watch ? await watchList(session, flags, found) : EXIT.ok;
}

function limitOf(flags: Flags, { terminal }: Session): number {
  if (flags.limit === undefined) return terminal.isInteractive ? SCREEN_LIMIT : Number.POSITIVE_INFINITY;
  return wholeNumber("--limit", flags.limit, 0, 1_000_000) || Number.POSITIVE_INFINITY;
}

function asData(found: readonly ViolationRef[], form: "json" | "yaml"): string {
  const data = plainData({ violations: found.map(rowOf) });
  if (form === "json") return `${JSON.stringify(data, null, 2)}\n`;
  return stringify(data, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    compat: "yaml-1.1",
    indentSeq: false,
  });
}
