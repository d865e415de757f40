// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Problems of a configuration, described so that they can be fixed at once.
// Invariant: no secret is repeated: sensitive and unknown values are left out, credentials in URLs are masked.

export interface ConfigProblem {
  /** The key's path, or empty where the file as a whole is meant. */
  path: string;
  /** The value as it was given, safe to print; absent where it may be a secret or there is none. */
  value?: string;
  /** Origin of the value: `pvo.yaml:12`, `PVO_LOG_LEVEL`, `--log-level`, `default`. */
  source: string;
  /** States the expected value. */
  message: string;
}

const MAX_SHOWN = 80;
/** `user:password@` with or without a scheme before it, and `//token@`. */
const CREDENTIALS = /(?:[^\s/@"]*:[^\s@"]*|\/\/[^\s/@"]*)@/g;

/** Returns a value as one short line that is safe on a terminal and in a log. */
export function describeValue(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value === null || value === undefined) return "nothing";
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  const masked = text.replace(CREDENTIALS, "***@");
  return masked.length <= MAX_SHOWN ? masked : `${masked.slice(0, MAX_SHOWN)}…`;
}

function formatLine({ path, value, source, message }: ConfigProblem): string {
  const what = value === undefined ? path : `${path} = ${value}`;
  return `  ${source}: ${what === "" ? "" : `${what}: `}${message}\n`;
}

/** Returns all problems as text for standard error, one a line. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  return `The configuration has ${count}:\n${problems.map(formatLine).join("")}`;
}
