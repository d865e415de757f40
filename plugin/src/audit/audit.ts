// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `audit`: the state as one page to read, print and keep.

import { writeFile } from "node:fs/promises";
import { VERSION } from "../../../src/app/version.ts";
import { getErrorMessage } from "../../../src/lib/error-message.ts";
import { parseFilter } from "../reports/filter.ts";
import { createUsageError, EXIT, type ExitCode, PluginError } from "../reports/problem.ts";
import type { Acceptance } from "../reports/sources/report-source.ts";
import { formatCount } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import { parseLimit, parseScope, readReports, type Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { type Facts, gatherFacts } from "./audit-facts.ts";
import { renderMarkdown } from "./audit-markdown.ts";
import { renderPage } from "./audit-page.ts";
import { describeState } from "./audit-words.ts";

type Renderer = (facts: Facts, limit: number) => string;
const FORMATS: Readonly<Record<string, Renderer>> = { html: renderPage, markdown: renderMarkdown };
/** Violations in full; the export has all. */
const DEFAULT_LIMIT = 500;

/** Writes the page to a file or prints it. */
export async function runAudit(session: Session, flags: Flags): Promise<ExitCode> {
  const { format = "html", out } = flags;
  const render = FORMATS[format];
  if (!render) {
    throw createUsageError(
      `invalid value "${plain(format)}" for --format: expected ${Object.keys(FORMATS).join(" or ")}.`,
    );
  }
  const nowMs = session.clock.nowMs();
  const limit = flags.limit === undefined ? DEFAULT_LIMIT : parseLimit(flags, session);
  const facts = gatherFacts({
    nowMs,
    about: describeAbout(session, flags),
    context: session.context,
    heartbeat: await session.source.heartbeat?.(nowMs),
    directory: session.source.isSnapshot ? session.source.where : undefined,
    filter: parseFilter(flags, nowMs),
    reports: await readReports(session, flags),
    leftOut: session.leftOut.size,
    acceptances: await readAcceptances(session, flags),
    version: VERSION,
  });
  const state = describeState(facts);
  if (state?.isBad) session.terminal.err(`note: ${state.text}\n`);
  const text = render(facts, limit);
  if (out === undefined) {
    session.terminal.out(text);
    return EXIT.ok;
  }
  try {
    await writeFile(out, text);
  } catch (error) {
    throw createUsageError(`cannot write ${out}: ${getErrorMessage(error)}. Name a file in an existing directory.`);
  }
  session.terminal.err(`${out} written: ${formatCount(facts.violations.length, "listed violation")}.\n`);
  return EXIT.ok;
}

/** The right to read reports does not include acceptances: without it they are unknown. */
async function readAcceptances(session: Session, flags: Flags): Promise<Acceptance[] | undefined> {
  try {
    return await session.source.acceptances?.(parseScope(flags, session));
  } catch (error) {
    if (error instanceof PluginError) return undefined;
    throw error;
  }
}

const FILTERS = [
  ...(["policy", "workload", "pod", "node", "container", "tag", "selector", "severity", "outcome", "since"] as const),
];

function describeAbout(session: Session, flags: Flags): string {
  const { namespace } = parseScope(flags, session);
  const filters = FILTERS.flatMap((name) => {
    const value = flags[name];
    return value === undefined ? [] : [`--${name} ${value}`];
  });
  const chosen = [...filters, ...(flags.new ? ["--new"] : [])];
  const all = session.source.isSnapshot ? "All files" : "All namespaces and hosts";
  const place = namespace === undefined ? all : `Namespace ${namespace}`;
  return chosen.length === 0 ? place : `${place}, only ${chosen.join(" ")}`;
}
