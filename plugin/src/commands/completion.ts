// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Completion in the shell: kubectl's own runs `kubectl_complete-violations`, which is this.
// Invariant: a failure completes to nothing; an error would stand in the middle of a command line.

import { SEVERITIES } from "../reports/report-view.ts";
import {
  COMMANDS,
  type Definition,
  type Flags,
  findFirstWord,
  listFlagNames,
  moveCommandFirst,
  parseCall,
} from "../session/arguments.ts";
import { parseScope, type Session } from "../session/session.ts";
import { plain } from "../text/escape.ts";
import { SORT_NAMES } from "./list.ts";
import { DATA_FORMS } from "./output-forms.ts";

/** The first argument of a call that asks for completions. */
export const COMPLETE = "__complete";

/** Cobra's directives: no file names, and file names. */
const NO_FILES = ":4";
const FILES = ":0";

const VALUES: Readonly<Record<string, readonly string[]>> = {
  "--severity": SEVERITIES,
  "--outcome": ["allowed", "prevented", "unknown"],
  "--since": ["1h", "24h", "7d", "30d"],
  "--window": ["24h", "7d", "30d"],
  "--expires": ["30d", "90d", "180d"],
  "--sort-by": SORT_NAMES,
  "--format": ["html", "markdown"],
};

const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  list: ["wide", ...DATA_FORMS.map((form) => form.replace("…", ""))],
  accepted: ["json", "yaml"],
  gate: ["text", "json", "junit", "sarif"],
  readiness: ["json", "yaml"],
};

const TAKES_FILES = /^--(?:kubeconfig|from|out|check|baseline|credentials|path|export-dir)$/;

type Open = (flags: Flags) => Session;

/** Returns the completions of the last of `words`, as cobra does: one per line, then the directive on file names. */
export async function complete(words: readonly string[], open: Open, commands = COMMANDS): Promise<string> {
  const last = words.at(-1) ?? "";
  // As cobra does: of `--policy=bl` only `bl` is completed, and the shell's script puts the rest before it.
  const [, flag, value] = /^(-[^=]+)=(.*)$/s.exec(last) ?? [];
  const current = value ?? last;
  try {
    const before = [...words.slice(0, -1), ...(flag === undefined ? [] : [flag])];
    const found = await listCandidates(moveCommandFirst(before, commands), current, open, commands);
    if (found === undefined) return `${FILES}\n`;
    const fitting = [...new Set(found)].filter((one) => one.startsWith(current));
    return `${fitting.map((one) => `${plain(one)}\n`).join("")}${NO_FILES}\n`;
  } catch {
    // Without a cluster there is nothing to complete.
    return `${NO_FILES}\n`;
  }
}

async function listCandidates(
  before: readonly string[],
  current: string,
  open: Open,
  commands: readonly Definition[],
): Promise<string[] | undefined> {
  const flag = before.at(-1) ?? "";
  const name = findCommand(before);
  const definition = commands.find((one) => one.name === name);
  const flags = [...(definition?.flags ?? [])];
  const takesValue = flags.some(([text]) => text.includes("<") && listFlagNames(text).includes(flag));
  if (takesValue) return await listValues(flag, name, before, open);
  if (current.startsWith("-")) return flags.flatMap(([text]) => listFlagNames(text));
  if (findFirstWord(before) < 0) return commands.map((one) => one.name).filter((one) => one !== "list");
  if (name === "explain" || name === "readiness") {
    const session = open(parseFlags(before));
    const scope = parseScope(parseFlags(before), session);
    const reports: string[] = [];
    for await (const { metadata, policy } of session.source.list(scope, () => {})) {
      const prefix = scope.namespace === undefined && name === "explain" ? `${metadata.namespace ?? "cpvr"}/` : "";
      reports.push(name === "explain" ? prefix + metadata.name : policy.name);
    }
    return reports.sort();
  }
  return [];
}

async function listValues(
  flag: string,
  command: string,
  before: readonly string[],
  open: Open,
): Promise<string[] | undefined> {
  if (TAKES_FILES.test(flag)) return undefined;
  if (VALUES[flag]) return [...VALUES[flag]];
  if (flag === "-o" || flag === "--output") return [...(OUTPUTS[command] ?? [])];
  const session = open(parseFlags(before.slice(0, -1)));
  if (flag === "-n" || flag === "--namespace") return (await session.source.namespaces()).sort();
  if (flag === "--context") return [...session.contexts].sort();
  if (!["--policy", "--workload", "--container", "--tag"].includes(flag)) return [];
  const scope = parseScope(parseFlags(before.slice(0, -1)), session);
  const found: string[] = [];
  for await (const report of session.source.list(scope, () => {})) {
    if (flag === "--policy") found.push(report.policy.name);
    else if (flag === "--tag") found.push(...(report.policy.tags ?? []));
    else if (flag === "--container") found.push(...report.violations.flatMap(({ container }) => container ?? []));
    else found.push(...report.violations.map(({ workload }) => workload.name));
  }
  return found.sort();
}

/** The command that the words begin with; default `list`. */
function findCommand(words: readonly string[]): string {
  const [first = ""] = words;
  return COMMANDS.some(({ name }) => name === first) ? first : "list";
}

/** Flags that are complete; the others are ignored. */
function parseFlags(words: readonly string[]): Flags {
  for (let end = words.length; end >= 0; end--) {
    const name = findCommand(words);
    const needsArgument = name === "explain" || name === "accept" ? ["x"] : [];
    const call = parseCall([...words.slice(0, end), ...needsArgument], "");
    if ("flags" in call) return call.flags;
  }
  return {};
}
