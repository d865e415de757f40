// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads one version's section of CHANGELOG.md.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./facts.ts";

/** Kinds of changes in Artifact Hub's words, by the headings of Keep a Changelog. */
const KINDS: Readonly<Record<string, string>> = {
  Added: "added",
  Changed: "changed",
  Deprecated: "deprecated",
  Removed: "removed",
  Fixed: "fixed",
  Security: "security",
};

export interface Change {
  kind: string;
  description: string;
}

/** Returns the text below the version's heading. Throws where there is none. */
export function readChangelogSection(version: string, text = readChangelog()): string {
  const sections = text.split(/^## /m).slice(1);
  const found = sections.find((section) => /^\[?([^\]\s]+)/.exec(section)?.[1] === version);
  if (found === undefined) throw new Error(`CHANGELOG.md has no section "## ${version}"`);
  return found.slice(found.indexOf("\n") + 1).trim();
}

/** Returns the date of the version's heading, `## 1.0.0 - 2026-01-31`; undefined where it has none. */
export function releaseDate(version: string, text = readChangelog()): string | undefined {
  const heading = text.split("\n").find((line) => /^## \[?([^\]\s]+)/.exec(line)?.[1] === version);
  return /\d{4}-\d\d-\d\d$/.exec(heading?.trim() ?? "")?.[0];
}

/** Returns the entries of a section, each as one line. */
export function parseChanges(section: string): Change[] {
  let kind = "changed";
  const found: Change[] = [];
  for (const line of section.split("\n")) {
    const heading = /^### (\w+)/.exec(line)?.[1];
    if (heading !== undefined) kind = KINDS[heading] ?? "changed";
    else if (line.startsWith("- ")) found.push({ kind, description: line.slice(2).trim() });
    else if (/^\s+\S/.test(line)) {
      const last = found.at(-1);
      if (last) last.description += ` ${line.trim()}`;
    }
  }
  return found;
}

function readChangelog(): string {
  return readFileSync(join(ROOT, "CHANGELOG.md"), "utf8");
}
