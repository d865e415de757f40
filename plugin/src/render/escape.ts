// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Makes text that an attacker may have chosen (it came from alerts) safe for each kind of output.
// Invariant: nothing from a report is printed but through one of these.

import { sanitize } from "../../../src/lib/sanitize.ts";

const MAX_BYTES = 4096;

/** For a terminal and for plain text: one line, no control or direction-changing character, at most 4,096 bytes. */
export function plain(text: string): string {
  return sanitize(text, MAX_BYTES);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** For HTML and XML, in text and in quoted attributes; what XML does not allow at all is replaced as in `plain`. */
export function markup(text: string): string {
  return plain(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/**
 * For Markdown: a code span, in which nothing is a link, a mention, an image or HTML. A `|` is escaped, so that it ends
 * no cell of a table.
 */
export function codeSpan(text: string): string {
  const safe = plain(text);
  if (safe === "") return "";
  const longest = Math.max(0, ...[...safe.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = "`".repeat(longest + 1);
  const pad = safe.startsWith("`") || safe.endsWith("`") ? " " : "";
  return `${fence}${pad}${safe}${pad}${fence}`.replaceAll("|", "\\|");
}

/** For a shell command that is shown to be copied: quoted unless it is plainly harmless. */
export function shellWord(text: string): string {
  const safe = plain(text);
  return /^[\w./:@%+=,-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", "'\\''")}'`;
}

/** A value for JSON or YAML in which every text is as in `plain`: even data may be looked at on a terminal. */
export function plainData(value: unknown): unknown {
  if (typeof value === "string") return plain(value);
  if (Array.isArray(value)) return value.map(plainData);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [plain(key), plainData(inner)]));
}
