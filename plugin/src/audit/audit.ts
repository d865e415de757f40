// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `audit`: the whole state as one page to read, print and keep.

import { writeFile } from "node:fs/promises";
import type { Flags } from "../commands/arguments.ts";
import { reportsOf, type Session, scopeOf } from "../commands/session.ts";
import { plain } from "../render/escape.ts";
import { parseFilter } from "../reports/filter.ts";
import { EXIT, type ExitCode, messageOf, usageError } from "../reports/problem.ts";
import { violationsOf } from "../reports/report-view.ts";
import { factsOf } from "./audit-facts.ts";
import { auditMarkdown } from "./audit-markdown.ts";
import { auditPage } from "./audit-page.ts";

const FORMATS = { html: auditPage, markdown: auditMarkdown } as const;

/** Writes the page to a file or prints it. */
export async function audit(session: Session, flags: Flags): Promise<ExitCode> {
  const { format = "html", out } = flags;
  if (format !== "html" && format !== "markdown") {
    throw usageError(`--format "${plain(format)}" is none: it must be ${Object.keys(FORMATS).join(" or ")}`);
  }
  const nowMs = session.clock.nowMs();
  const filter = parseFilter(flags, nowMs);
  const found = violationsOf(await reportsOf(session, flags)).filter(filter.matches);
  const text = FORMATS[format](factsOf(found, aboutOf(session, flags), nowMs));
  if (out === undefined) {
    session.terminal.out(text);
    return EXIT.ok;
  }
  try {
    await writeFile(out, text);
  } catch (error) {
    throw usageError(`cannot write ${out}: ${messageOf(error)}; name a file in a directory that is there`);
  }
  session.terminal.err(`${out} written: ${found.length} violations\n`);
  return EXIT.ok;
}

function aboutOf(session: Session, flags: Flags): string {
  const { namespace } = scopeOf(flags, session);
  const filters = (["policy", "workload", "severity", "outcome", "since"] as const).flatMap((name) => {
    const value = flags[name];
    return value === undefined ? [] : [`--${name} ${value}`];
  });
  const chosen = [...filters, ...(flags.new ? ["--new"] : [])];
  const place = namespace === undefined ? "All namespaces and hosts" : `Namespace ${namespace}`;
  return chosen.length === 0 ? place : `${place}, only ${chosen.join(" ")}`;
}
