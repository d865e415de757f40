// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// `export`: the state as files for Git, and the difference to the files.

import { existsSync } from "node:fs";
import { relative } from "node:path";
import { createTwoFilesPatch } from "diff";
import { toPath } from "../../../src/sinks/directory-sink.ts";
import { createUsageError, EXIT, type ExitCode } from "../reports/problem.ts";
import { formatCount } from "../reports/words.ts";
import type { Flags } from "../session/arguments.ts";
import type { Colors } from "../session/colors.ts";
import { getColors, parseScope, readReports, type Session } from "../session/session.ts";
import { plain, toShellWord } from "../text/escape.ts";
import { applyPlan, type Plan, planExport } from "./export-directory.ts";
import { exportText } from "./export-form.ts";

/** Writes the directory, or prints the difference to it. */
export async function exportReports(session: Session, flags: Flags): Promise<ExitCode> {
  const { out, check } = flags;
  if ((out === undefined) === (check === undefined)) {
    throw createUsageError("name a directory: --out DIR writes, --check DIR compares; exactly one of the two.");
  }
  const directory = out ?? check ?? "";
  if (directory === "") throw createUsageError("the directory is an empty text: check the variable that names it.");
  if (flags.from !== undefined && check === undefined && flags.from === out) {
    throw createUsageError("--from and --out are the same directory: name another one.");
  }
  // A misspelt one would be up to date with a namespace without reports.
  if (check !== undefined && !existsSync(check)) {
    throw createUsageError(
      `--check ${plain(check)} does not exist: write it with \`kubectl violations export --out ${toShellWord(check)}\`.`,
    );
  }
  const plan = await planFor(session, flags, directory);
  const { terminal } = session;
  if (check === undefined) {
    await applyPlan(plan);
    terminal.out(`${directory}: ${describePlan(plan)}.\n`);
    printOthers(session, plan);
    return EXIT.ok;
  }
  if (plan.changes.length === 0) {
    terminal.out(`${directory} is up to date: ${formatCount(plan.unchanged, "report")}.\n`);
    return EXIT.ok;
  }
  terminal.out(createDiff(plan, getColors(session)));
  terminal.err(`${directory} is not up to date: ${describePlan(plan)}; \`export --out\` writes it.\n`);
  return EXIT.no;
}

/** Plans the changes that the reports of the call's scope make to a directory. */
export async function planFor(session: Session, flags: Flags, directory: string): Promise<Plan> {
  const scope = parseScope(flags, session);
  const reports = await readReports(session, flags);
  const texts = new Map(
    reports.map((report) => [toPath(directory, report.metadata), exportText(report, flags.summary === true)]),
  );
  const plan = await planExport(directory, texts, scope);
  // The files of reports that could not be read stay as they are.
  const isWhole = session.leftOut.size === 0;
  return isWhole ? plan : { ...plan, changes: plan.changes.filter(({ text }) => text !== undefined) };
}

/** `2 new, 1 changed, 0 gone, 20 unchanged`. */
export function describePlan({ changes, unchanged }: Plan): string {
  const fresh = changes.filter(({ was }) => was === undefined).length;
  const gone = changes.filter(({ text }) => text === undefined).length;
  return `${fresh} new, ${changes.length - fresh - gone} changed, ${gone} gone, ${unchanged} unchanged`;
}

function printOthers({ terminal }: Session, { others }: Plan): void {
  if (others.length === 0) return;
  const some = others.slice(0, 3).map(plain).join(", ");
  terminal.err(
    `${formatCount(others.length, "other file")} ${others.length === 1 ? "stays" : "stay"} (${some}${others.length > 3 ? ", …" : ""}).\n`,
  );
}

/** A unified diff as `git diff` prints one. */
function createDiff({ directory, changes }: Plan, paint: Colors): string {
  return changes
    .map(({ path, was, text }) => {
      const name = plain(relative(directory, path));
      const before = was === undefined ? "/dev/null" : `a/${name}`;
      const after = text === undefined ? "/dev/null" : `b/${name}`;
      const patch = createTwoFilesPatch(before, after, was ?? "", text ?? "", undefined, undefined, { context: 3 });
      return patch
        .split("\n")
        .slice(1)
        .map((line) => formatLine(line, paint))
        .join("\n");
    })
    .join("");
}

function formatLine(line: string, paint: Colors): string {
  const safe = line.replace(/\S.*$/, (rest) => plain(rest));
  if (line.startsWith("+++") || line.startsWith("---")) return paint.bold(safe);
  if (line.startsWith("+")) return paint.added(safe);
  if (line.startsWith("-")) return paint.removed(safe);
  return line.startsWith("@@") ? paint.dim(safe) : safe;
}
