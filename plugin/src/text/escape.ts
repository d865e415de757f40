// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes text that an attacker may have chosen (it came from alerts) safe for each kind of output.
// Invariant: nothing from a report is printed but through one of these, or through the elements of markup.ts.

import { sanitize } from "../../../src/lib/sanitize.ts";

const MAX_BYTES = 4096;

/** Returns text for a terminal: one line, no control or direction-changing character, at most 4,096 bytes. */
export function plain(text: string): string {
  return sanitize(text, MAX_BYTES);
}

/**
 * Returns a code span of Markdown, in which nothing is a link, a mention, an image or HTML. A `|` is escaped, so that it
 * ends no cell of a table: by an odd number of backslashes, since some renderers take two of them for one.
 */
export function toCodeSpan(text: string): string {
  const safe = plain(text);
  if (safe === "") return "";
  const longest = Math.max(0, ...[...safe.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const pad = safe.startsWith("`") || safe.endsWith("`") ? " " : "";
  return `${fence}${pad}${safe}${pad}${fence}`.replace(
    /(\\*)\|/g,
    (_match, before: string) => `${before}${before.length % 2 === 0 ? "\\" : "\\\\"}|`,
  );
}

/** Returns a message of SARIF, in which `[text](target)` would be a link (SARIF 2.1.0, 3.11.6). */
export function toSarifText(text: string): string {
  return plain(text).replace(/[\\[\]]/g, "\\$&");
}

/** Returns a word of a shell command that is shown to be copied: quoted unless it is plainly harmless. */
export function toShellWord(text: string): string {
  const safe = plain(text);
  return /^[\w./:@%+=,-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", "'\\''")}'`;
}

/** Returns a value for JSON or YAML in which every text is as in `plain`: data are looked at on terminals, too. */
export function escapeData(value: unknown): unknown {
  if (typeof value === "string") return plain(value);
  if (Array.isArray(value)) return value.map(escapeData);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [plain(key), escapeData(inner)]));
}
