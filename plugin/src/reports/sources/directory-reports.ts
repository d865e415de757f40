// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A directory that `export` or `replay` wrote, read as a source of reports.
// Invariant: no link is followed, and a file that can't be read as a report is an error for every reader of reports.

import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { API_GROUP, CLUSTER_REPORT_PLURAL, REPORT_PLURAL } from "../../../../src/api/names.ts";
import type { Report } from "../../../../src/api/v1alpha1.ts";
import { compare } from "../../../../src/lib/compare.ts";
import { getErrorMessage } from "../../../../src/lib/error-message.ts";
import { CLUSTER_DIRECTORY, toPath } from "../../../../src/sinks/directory-sink.ts";
import { plain } from "../../text/escape.ts";
import { EXIT, PluginError } from "../problem.ts";
import { checkReport, findContradiction } from "./report-schema.ts";
import type { ReportSource } from "./report-source.ts";
import { readYamlFile } from "./yaml-file.ts";

/** Marks a file without counts and times, so that they are not taken for zero. */
export const EXPORT_ANNOTATION = `${API_GROUP}/export`;
export const SUMMARY_EXPORT = "summary";

const MAX_FILES = 100_000;
const MAX_BYTES = 512 * 1024 * 1024;
const MAX_NAMED = 3;

export interface ReportFile {
  /** From the working directory or absolute, as the directory was given. */
  path: string;
  text: string;
  report: Report;
}

export interface DirectoryContent {
  reports: ReportFile[];
  /** Everything else, but for hidden entries: relative paths, sorted; folders end in `/`. */
  others: string[];
  /** Those of `others` that stand where a report would: `path: problem`. */
  unread: string[];
}

/** Reads a directory; a missing one is empty. Throws a PluginError for one that can't be listed or exceeds a bound. */
export async function readDirectory(directory: string): Promise<DirectoryContent> {
  const content: DirectoryContent = { reports: [], others: [], unread: [] };
  const budget = { files: 0, bytes: 0 };
  const skip = (path: string, problem?: string) => {
    content.others.push(path);
    if (problem !== undefined) content.unread.push(`${path} ${problem}`);
  };
  for (const scope of await listEntries(directory)) {
    if (scope.name.startsWith(".")) continue;
    if (!scope.isDirectory()) {
      // A link in the place of a namespace may hide its reports.
      const isScope = scope.isSymbolicLink() && /^(?:_cluster|[a-z0-9-]+)$/.test(scope.name);
      skip(scope.name, isScope ? "is a symbolic link, which is not followed" : undefined);
      continue;
    }
    const plural = scope.name === CLUSTER_DIRECTORY ? CLUSTER_REPORT_PLURAL : REPORT_PLURAL;
    for (const kind of await listEntries(join(directory, scope.name))) {
      const place = join(scope.name, kind.name);
      if (kind.name !== plural) skip(place + (kind.isDirectory() ? "/" : ""));
      else if (!kind.isDirectory()) skip(place, "is not a directory");
      else await readReports(directory, place, content.reports, skip, budget);
    }
  }
  content.others.sort(compare);
  return content;
}

async function readReports(
  directory: string,
  place: string,
  reports: ReportFile[],
  skip: (path: string, problem?: string) => void,
  budget: { files: number; bytes: number },
): Promise<void> {
  for (const { name } of await listEntries(join(directory, place))) {
    if (name.startsWith(".")) continue;
    const path = join(directory, place, name);
    if (!name.endsWith(".yaml")) {
      const isData = /\.(?:ya?ml|json)(?:\.gz)?$/i.test(name);
      skip(relative(directory, path), isData ? "may be a report, but only names in .yaml are read" : undefined);
      continue;
    }
    const file = await readReport(directory, path);
    if (typeof file === "string") {
      skip(relative(directory, path), file);
      continue;
    }
    reports.push(file);
    budget.files += 1;
    budget.bytes += file.text.length;
    if (budget.files > MAX_FILES || budget.bytes > MAX_BYTES) {
      throw new PluginError(
        EXIT.failed,
        `${directory} is too large: at most ${MAX_FILES} reports and ${MAX_BYTES / 1024 ** 2} MiB are read. Name a smaller directory.`,
      );
    }
  }
}

async function readReport(directory: string, path: string): Promise<ReportFile | string> {
  let file: Awaited<ReturnType<typeof readYamlFile>>;
  try {
    file = await readYamlFile(path);
  } catch (error) {
    throw toReadProblem(path, error);
  }
  if ("problem" in file) return file.problem;
  const report = checkReport(file.value, { isSummary: isSummaryExport(file.value) });
  if (typeof report === "string") return `is not a report: ${report}`;
  const { name, namespace } = report.metadata;
  const own = toPath(directory, namespace === undefined ? { name } : { name, namespace });
  return own === path ? { path, text: file.text, report } : "is not the report that its path names";
}

/** True for a file without counts and times. */
export function isSummaryExport(value: unknown): boolean {
  const { metadata } = (value ?? {}) as { metadata?: { annotations?: Record<string, unknown> | null } };
  return metadata?.annotations?.[EXPORT_ANNOTATION] === SUMMARY_EXPORT;
}

/** Lists a folder in one order on every machine; a missing one is empty. */
export async function listEntries(directory: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    return entries.sort((a, b) => compare(a.name, b.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw toReadProblem(directory, error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "no permission; check its owner and mode",
  EPERM: "not permitted; check its owner and mode",
  ENOTDIR: "it is a file; name a directory",
  EISDIR: "it is a directory where a file should be",
  EROFS: "the file system is read-only; choose another directory",
  ENOSPC: "the disk is full",
  ENOENT: "it does not exist",
};
/** Ctrl-C, or a signal of the same kind. */
const INTERRUPTED = "ERR_SCRIPT_EXECUTION_INTERRUPTED";

/** The error for a path that the file system refuses. */
export function toReadProblem(path: string, error: unknown): PluginError {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  if (code === INTERRUPTED) return new PluginError(EXIT.failed, `interrupted while reading ${path}.`, error);
  return new PluginError(EXIT.usage, `cannot use ${path}: ${REASONS[code] ?? getErrorMessage(error)}.`, error);
}

/** Throws when a file in the place of a report could not be read: what it holds is unknown. */
export function requireWhole(directory: string, { unread }: DirectoryContent): void {
  if (unread.length === 0) return;
  const named = unread.slice(0, MAX_NAMED).map(plain).join("; ");
  const more = unread.length > MAX_NAMED ? `; and ${unread.length - MAX_NAMED} more` : "";
  throw new PluginError(
    EXIT.failed,
    `${plain(directory)} can't be read as a whole: ${named}${more}. Repair or remove what is not a report.`,
  );
}

/** The source that reads a directory; it throws for a missing one, and for one without counts and times. */
export function createDirectoryReports(directory: string): ReportSource {
  async function load(): Promise<Report[]> {
    const content = await readDirectory(directory);
    requireWhole(directory, content);
    const { reports, others } = content;
    if (reports.some(({ report }) => isSummaryExport(report))) {
      throw new PluginError(
        EXIT.usage,
        `${directory} was exported with --summary, which leaves out counts and times; name a full export.`,
      );
    }
    const unread = reports.flatMap(({ path, report }) => {
      const problem = findContradiction(report);
      return problem === undefined ? [] : [`${relative(directory, path)} is not a report: ${problem}`];
    });
    requireWhole(directory, { ...content, unread });
    if (reports.length > 0) return reports.map(({ report }) => report);
    const what =
      others.length === 0
        ? "is empty or does not exist"
        : `holds no reports (but ${others.slice(0, MAX_NAMED).map(plain).join(", ")})`;
    throw new PluginError(EXIT.usage, `${directory} ${what}; name a directory that export or replay wrote.`);
  }
  return {
    where: directory,
    isSnapshot: true,
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
      return (await load()).find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    },
  };
}
