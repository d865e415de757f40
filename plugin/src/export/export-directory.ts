// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Changes a directory of exported reports: what differs from the reports, and making it equal.
// Invariant: a file that is not a report is never written, moved or removed, and no link is followed.

import { readdir, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { compare } from "../../../src/lib/compare.ts";
import { makeFolder } from "../../../src/sinks/make-folder.ts";
import { EXIT, PluginError } from "../reports/problem.ts";
import {
  type DirectoryContent,
  listEntries,
  readDirectory,
  toReadProblem,
} from "../reports/sources/directory-reports.ts";
import type { ReportFilterScope } from "../reports/sources/report-source.ts";

/** Files that may lie next to an export in a repository. */
const USUAL_FILE = /^(?:README|LICEN[CS]E|NOTICE|CODEOWNERS|kustomization)/i;
const LINK = "is a symbolic link, which is not followed";

/** Changes that an export would make to a directory. */
export interface Plan {
  directory: string;
  /** Sorted by path. `was` undefined: a new file; `text` undefined: the report is gone. */
  changes: { path: string; was: string | undefined; text: string | undefined }[];
  unchanged: number;
  /** Files that are not reports, which stay. */
  others: string[];
}

/** Compares a directory with what should be in it; files of other scopes stay. */
export async function planExport(
  directory: string,
  texts: ReadonlyMap<string, string>,
  scope: ReportFilterScope,
): Promise<Plan> {
  const found = await readDirectory(directory);
  refuseForeign(directory, found);
  const present = new Map(found.reports.map((file) => [file.path, file]));
  const changes: Plan["changes"] = [];
  let unchanged = 0;
  for (const [path, text] of texts) {
    const was = present.get(path)?.text;
    if (was === undefined && found.others.includes(relative(directory, path))) {
      throw new PluginError(
        EXIT.usage,
        `${path} is in the way and is not a report: move it away. Nothing was changed.`,
      );
    }
    if (was === text) unchanged += 1;
    else changes.push({ path, was, text });
  }
  for (const { path, text, report } of found.reports) {
    const isInScope = scope.namespace === undefined || report.metadata.namespace === scope.namespace;
    if (!texts.has(path) && isInScope) changes.push({ path, was: text, text: undefined });
  }
  changes.sort((a, b) => compare(a.path, b.path));
  return { directory, changes, unchanged, others: found.others };
}

/** Refuses a directory of other files: a source tree, a home. */
function refuseForeign(directory: string, { reports, others }: DirectoryContent): void {
  const foreign = others.filter((path) => !USUAL_FILE.test(path));
  if (reports.length > 0 || foreign.length === 0) return;
  const some = foreign.slice(0, 3).join(", ") + (foreign.length > 3 ? `, and ${foreign.length - 3} more` : "");
  throw new PluginError(
    EXIT.usage,
    `${directory} holds other files (${some}) and no reports: name a directory of its own, such as ` +
      `${join(directory, "violations")}. Nothing was changed.`,
  );
}

/** Carries a plan out; each file appears whole or not at all. */
export async function applyPlan({ directory, changes }: Plan): Promise<void> {
  for (const { path, text } of changes) {
    try {
      await refuseLinks(directory, dirname(path));
      if (text === undefined) await remove(directory, path);
      else await store(path, text);
    } catch (error) {
      throw error instanceof PluginError ? error : toReadProblem(path, error);
    }
  }
}

async function store(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path));
  const temporary = join(dirname(path), ".export.tmp");
  try {
    await writeFile(temporary, text, { flag: "wx" });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Removes the file, and its folders when nothing is left in them. */
async function remove(directory: string, path: string): Promise<void> {
  await rm(path);
  for (const folder of [dirname(path), dirname(dirname(path))]) {
    if (resolve(folder) === resolve(directory)) return;
    const left = await readdir(folder);
    if (left.length > 0) return;
    await rmdir(folder);
  }
}

/** Refuses links: anyone who can write to the repository could lead the export elsewhere. */
async function refuseLinks(directory: string, folder: string): Promise<void> {
  for (let inner = folder; resolve(inner) !== resolve(directory); inner = dirname(inner)) {
    const entries = await listEntries(dirname(inner));
    if (entries.some((entry) => entry.isSymbolicLink() && join(dirname(inner), entry.name) === inner)) {
      throw new PluginError(EXIT.usage, `${inner} ${LINK}: replace it with a directory.`);
    }
  }
}
