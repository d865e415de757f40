// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns a directory of exported reports: what is in it, what would change, and changing it.
// Invariant: a file that is no report of ours is never written, moved or removed, and no link is followed.

import type { Dirent } from "node:fs";
import { readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { CLUSTER_REPORT_PLURAL, REPORT_PLURAL } from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import { CLUSTER_DIRECTORY, parseReport, pathOf } from "../../../src/sinks/directory-sink.ts";
import { makeFolder } from "../../../src/sinks/make-folder.ts";
import { EXIT, messageOf, PluginError } from "../reports/problem.ts";
import type { ReportFilterScope, ReportSource } from "../reports/report-source.ts";
import { compare } from "../reports/report-view.ts";
import { isSummaryExport } from "./export-form.ts";

/** A file of an export. */
export interface ReportFile {
  /** From the working directory or absolute, as the directory was given. */
  path: string;
  text: string;
  report: Report;
}

/** A directory as it was found. */
export interface ViolationRef {
  reports: ReportFile[];
  /** Everything else, but for hidden entries: relative paths, sorted; folders end in `/`. */
  others: string[];
}

/** What lies beside an export in a repository, and means nothing. */
const USUAL_FILE = /^(?:README|LICEN[CS]E|NOTICE|CODEOWNERS|kustomization)/i;
const LINK = "is a symbolic link, which is not followed";

/** Reads a directory; one that is not there is empty. Throws a PluginError when it can't be read. */
export async function readDirectory(directory: string): Promise<ViolationRef> {
  const found: ViolationRef = { reports: [], others: [] };
  for (const scope of await entriesOf(directory)) {
    if (scope.name.startsWith(".")) continue;
    if (!scope.isDirectory()) {
      found.others.push(scope.name);
      continue;
    }
    const plural = scope.name === CLUSTER_DIRECTORY ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL;
    for (const kind of await entriesOf(join(directory, scope.name))) {
      const place = join(scope.name, kind.name);
      if (kind.name !== plural || !kind.isDirectory())
        found.others.push(place + (kind.isDirectory() ? "/" : ""));
      else await readReports(directory, place, found);
    }
  }
  found.others.sort(compare);
  return found;
}

async function readReports(directory: string, place: string, found: ViolationRef): Promise<void> {
  for (const entry of await entriesOf(join(directory, place))) {
    const path = join(directory, place, entry.name);
    const file =
      entry.isFile() && entry.name.endsWith(".yaml") ? await readReport(directory, path) : undefined;
    if (file) found.reports.push(file);
    else if (!entry.name.startsWith(".")) found.others.push(relative(directory, path));
  }
}

/** Undefined for a file that is not the report which its path says. */
async function readReport(directory: string, path: string): Promise<ReportFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw unreadable(path, error);
  }
  const report = parseReport(text, "");
  if (typeof report === "string") return undefined;
  const { name, namespace } = report.metadata;
  if (!isName(name) || (namespace !== undefined && !isName(namespace))) return undefined;
  const own = pathOf(directory, namespace === undefined ? { name } : { name, namespace });
  return own === path ? { path, text, report } : undefined;
}

/** Names that Kubernetes would not take may lead out of the directory. */
function isName(name: unknown): name is string {
  return (
    typeof name === "string" && /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name) && !name.includes("..")
  );
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((a, b) => compare(a.name, b.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw unreadable(directory, error);
  }
}

const WHY: Readonly<Record<string, string>> = {
  EACCES: "no permission; check its owner and mode",
  EPERM: "not permitted; check its owner and mode",
  ENOTDIR: "it is a file; name a directory",
  EISDIR: "it is a directory where a file should be",
  EROFS: "the file system is read-only; choose another directory",
  ENOSPC: "the disk is full",
  ENOENT: "it is not there",
};

function unreadable(path: string, error: unknown): PluginError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  return new PluginError(EXIT.usage, `cannot use ${path}: ${WHY[code] ?? messageOf(error)}`, error);
}

/** What an export would do to a directory. */
export interface Plan {
  directory: string;
  /** Sorted by path. `was` undefined: a new file; `text` undefined: the report is gone. */
  changes: { path: string; was: string | undefined; text: string | undefined }[];
  unchanged: number;
  /** Files that are no reports and stay as they are. */
  others: string[];
}

/** Compares a directory with what should be in it; files of other scopes than `scope` are none of its business. */
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
        `${path} is in the way and is no report; move it away, nothing was changed`,
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

/** A directory that is somebody else's is a mistake in the call: a source tree, a home. */
function refuseForeign(directory: string, { reports, others }: ViolationRef): void {
  const foreign = others.filter((path) => !USUAL_FILE.test(path));
  if (reports.length > 0 || foreign.length === 0) return;
  const some =
    foreign.slice(0, 3).join(", ") + (foreign.length > 3 ? `, and ${foreign.length - 3} more` : "");
  throw new PluginError(
    EXIT.usage,
    `${directory} holds other files (${some}) and no reports; give a directory of its own, such as ` +
      `${join(directory, "violations")}; nothing was changed`,
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
      throw error instanceof PluginError ? error : unreadable(path, error);
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

/** Whoever can write to the repository must not lead us to write elsewhere. */
async function refuseLinks(directory: string, folder: string): Promise<void> {
  for (let inner = folder; resolve(inner) !== resolve(directory); inner = dirname(inner)) {
    const entries = await entriesOf(dirname(inner));
    if (entries.some((entry) => entry.isSymbolicLink() && join(dirname(inner), entry.name) === inner)) {
      throw new PluginError(EXIT.usage, `${inner} ${LINK}; replace it with a directory`);
    }
  }
}

/** The source that reads a directory; it throws for one that is not there, and for one without counts and times. */
export function directoryReports(directory: string): ReportSource {
  async function load(): Promise<Report[]> {
    const { reports, others } = await readDirectory(directory);
    if (reports.some(({ report }) => isSummaryExport(report))) {
      throw new PluginError(
        EXIT.usage,
        `${directory} was exported with --summary, which leaves out counts and times; name a full export`,
      );
    }
    if (reports.length > 0) return reports.map(({ report }) => report);
    const what =
      others.length === 0
        ? "is empty or not there"
        : `holds no reports (but ${others.slice(0, 3).join(", ")})`;
    throw new PluginError(EXIT.usage, `${directory} ${what}; name a directory that export or replay wrote`);
  }
  return {
    where: directory,
    async namespaces() {
      const names = (await load()).flatMap(({ metadata }) => metadata.namespace ?? []);
      return [...new Set(names)];
    },
    async *list({ namespace }) {
      for (const report of await load()) {
        if (namespace === undefined || report.metadata.namespace === namespace) yield report;
      }
    },
    async read(namespace, name) {
      return (await load()).find(
        ({ metadata }) => metadata.namespace === namespace && metadata.name === name,
      );
    },
  };
}
