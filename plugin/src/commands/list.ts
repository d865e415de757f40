// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `list`: violations as a table that fits the terminal, or as data.

import { renderTable, toRow } from "../render/violation-table.ts";
import { type Filter, parseFilter, type Selection, select } from "../reports/filter.ts";
import { createUsageError, EXIT, type ExitCode } from "../reports/problem.ts";
import {
  compareWorst,
  getNamespace,
  getSeverityLevel,
  getSeverityRank,
  listViolations,
  type ViolationRef,
} from "../reports/report-view.ts";
import {
  describeAccepted,
  describeCut,
  describeNone,
  describeUnseen,
  sumOmitted,
  sumTotals,
  type Totals,
} from "../reports/totals.ts";
import { formatNumber, formatSentence } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { describeScope, parseLimit, parseScope, readCurrentReports, type Session } from "../session/session.ts";
import { getValueAt, parseDataForm } from "./output-forms.ts";
import { watchList } from "./watch.ts";

/** Lists what the flags ask for. */
export async function list(session: Session, flags: Flags): Promise<ExitCode> {
  const { terminal } = session;
  const print = parseDataForm(flags.output);
  const hasHeaders = flags.headers !== false;
  const limit = parseLimit(flags, session);
  const order = parseOrder(flags.sortBy);
  const filter = parseFilter(flags, session.clock.nowMs());
  if (flags.watch && print) throw createUsageError(`-w shows a table, and can't go with -o ${flags.output}.`);
  const current = await readCurrentReports(session, flags);
  const { reports } = current;
  const selection = select(reports, listViolations(reports), filter);
  const found = selection.found.sort(order);
  const shown = found.slice(0, limit);
  const totals = sumTotals(reports, selection, filter);
  const unseen = describeUnseen(reports, filter, session.leftOut.size);
  const incomplete = current.doubt === undefined ? unseen : [...unseen, current.doubt];
  if (print) {
    const summary = createSummary(selection, totals, shown, incomplete);
    terminal.out(print({ found: shown, document: { violations: shown.map(toRow), ...summary } }, hasHeaders));
  } else {
    const isAll = parseScope(flags, session).namespace === undefined;
    const isWide = flags.output === "wide";
    if (shown.length > 0) terminal.out(renderTable(shown, session, { isAll, isWide, hasHeaders }));
    if (terminal.isInteractive && shown.length > 0 && !isWide && hasHeaders) {
      terminal.err("-o wide shows ids, which `explain` and `accept` take.\n");
    }
  }
  const none = `${describeNone(selection, incomplete)} ${describeScope(parseScope(flags, session), session.source)}`;
  const notes = [...(found.length === 0 ? [none, ...unseen] : []), ...createNotes(selection, filter, totals, shown)];
  for (const note of notes) terminal.err(`${formatSentence(note)}\n`);
  // In a watch, rows that do not change are the answer that nothing happens.
  current.warn(found.length === 0 || flags.watch === true);
  return flags.watch ? await watchList(session, flags, filter, { selection, doubt: current.doubt }) : EXIT.ok;
}

/** Facts in addition to the rows, for programs. */
function createSummary(
  { cut, hidden }: Selection,
  totals: Totals,
  shown: readonly ViolationRef[],
  unseen: readonly string[],
): Record<string, unknown> {
  const incomplete = [...(cut.length > 0 ? [`${describeCut(cut)}, and may match`] : []), ...unseen];
  const { counts, violations, isAtLeast, isListAtLeast } = totals;
  return {
    totals: {
      violations,
      allowed: counts.Allowed,
      prevented: counts.Prevented,
      unknown: counts.Unknown,
      isAtLeast: isAtLeast || isListAtLeast || unseen.length > 0,
    },
    shown: shown.length,
    accepted: hidden,
    complete: incomplete.length === 0,
    ...(incomplete.length === 0 ? {} : { incomplete }),
    ...(cut.length === 0 ? {} : { omitted: { reports: cut.length, ...sumOmitted(cut) } }),
  };
}

function createNotes(selection: Selection, filter: Filter, totals: Totals, shown: readonly ViolationRef[]): string[] {
  const { found, hidden, cut } = selection;
  const lines: string[] = [];
  if (shown.length < found.length) {
    lines.push(
      `${formatNumber(found.length - shown.length)} more are listed; --limit 0 shows all, --severity and --since fewer`,
    );
  }
  if (cut.length > 0) {
    const isLess = !filter.isByOutcome || totals.isAtLeast;
    const counts = filter.outcomes.map((one) => `${formatNumber(totals.counts[one])} ${one.toLowerCase()}`);
    lines.push(
      `${describeCut(cut)}, and may match`,
      `In all ${isLess ? "at least " : ""}${counts.join(", ")} occurrences match`,
    );
  }
  if (hidden > 0) {
    lines.push(`${describeAccepted(selection)}; --accepted shows ${hidden === 1 ? "it" : "those that are listed"}`);
  }
  return lines;
}

type Order = (a: ViolationRef, b: ViolationRef) => number;

const byNumber =
  (value: (found: ViolationRef) => number): Order =>
  (a, b) =>
    value(b) - value(a);
const byText =
  (value: (found: ViolationRef) => string, sign = 1): Order =>
  (a, b) => {
    const [x, y] = [value(a), value(b)];
    return x < y ? -sign : x > y ? sign : 0;
  };

const ORDERS: Readonly<Record<string, Order>> = {
  severity: byNumber((found) => getSeverityRank(getSeverityLevel(found))),
  count: byNumber(({ violation }) => violation.occurrences),
  "last-seen": byText(({ violation }) => violation.lastSeen, -1),
  "first-seen": byText(({ violation }) => violation.firstSeen, -1),
  namespace: byText(getNamespace),
  workload: byText(({ violation: { workload } }) => `${workload.kind}/${workload.name}`),
  policy: byText(({ report }) => report.policy.name),
};

export const SORT_NAMES: readonly string[] = Object.keys(ORDERS);

/** Reads --sort-by: a name, or a JSONPath of a row as in kubectl. */
function parseOrder(text: string | undefined): Order {
  if (text === undefined) return compareWorst;
  const named = ORDERS[text];
  if (named) return (a, b) => named(a, b) || compareWorst(a, b);
  if (!/^[{.[$]/.test(text)) {
    throw createUsageError(
      `invalid value "${text}" for --sort-by: expected one of ${SORT_NAMES.join(", ")}, or a JSONPath such as .occurrences.`,
    );
  }
  const keys = new Map<ViolationRef, unknown>();
  const toKey = (found: ViolationRef) => {
    if (!keys.has(found)) keys.set(found, getValueAt(text, toRow(found)));
    return keys.get(found);
  };
  return (a, b) => {
    const [x, y] = [toKey(a), toKey(b)];
    const order =
      typeof x === "number" && typeof y === "number" ? x - y : byText((found) => String(toKey(found) ?? ""))(a, b);
    return order || compareWorst(a, b);
  };
}
