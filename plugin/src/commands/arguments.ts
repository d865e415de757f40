// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The plugin's command line: which commands and flags there are, their help, and what a call asks for.
// Invariant: pure; it prints nothing and ends nothing.

import { type Command, Option } from "commander";
import { parseProgram } from "../../../src/cli/program.ts";
import { plain } from "../render/escape.ts";
import type { FilterFlags } from "../reports/filter.ts";
import { EXIT } from "../reports/problem.ts";

export const PLUGIN = "kubectl violations";

/** Every flag of every command, as it was given. */
export interface Flags extends FilterFlags {
  namespace?: string;
  allNamespaces?: boolean;
  context?: string;
  kubeconfig?: string;
  from?: string;
  output?: string;
  watch?: boolean;
  limit?: string;
  all?: boolean;
  out?: string;
  check?: string;
  summary?: boolean;
  baseline?: string;
  requireCoverage?: boolean;
  wait?: string;
  format?: string;
  interval?: string;
  once?: boolean;
  buckets?: string;
  window?: string;
  repository?: string;
  branch?: string;
  path?: string;
  credentials?: string;
  author?: string;
  message?: string;
}

/** What a call asks for. */
export type Call =
  | { command: string; args: string[]; flags: Flags }
  /** Nothing to run: help, version or a mistake; the texts are to be printed as they are. */
  | { exit: 0 | 2; stdout: string; stderr: string };

const ABOUT = `Shows what KubeArmor's policies caught, from the reports that policy-violation-operator keeps.

Without a command it lists violations, worst first.`;

const PROGRAM_NOTES = `
Examples:
  ${PLUGIN} -A                                  # what is violated, worst first
  ${PLUGIN} -n shop --outcome allowed --since 24h
  ${PLUGIN} explain 41a589a66b87c1f3            # one violation in sentences, and what to do
  ${PLUGIN} readiness harden-wordpress -n wordpress-mysql
  ${PLUGIN} export -A --out violations/         # the state as YAML, for Git
  ${PLUGIN} gate -A --severity high --baseline violations/

Exit codes: 0 done, 1 the answer is no (gate, export --check, readiness), 2 wrong call, 3 it could not be found out
(no connection, no rights, no CRDs, no such report).
`;

type Flag = readonly [flags: string, about: string];

const PLACE: readonly Flag[] = [
  ["-n, --namespace <NAME>", "The namespace; default: that of the context."],
  ["-A, --all-namespaces", "Every namespace, and what belongs to none (hosts)."],
  ["--context <NAME>", "The context of the kubeconfig."],
  ["--kubeconfig <FILE>", "The kubeconfig; default: $KUBECONFIG, then ~/.kube/config."],
  ["--from <DIR>", "Reads a directory that `export` or `replay` wrote, in place of a cluster."],
];

const FILTER: readonly Flag[] = [
  ["--policy <GLOB>", "Only these policies; * is any text."],
  ["--workload <GLOB>", "Only these workloads: a name or Kind/name; * is any text."],
  ["--severity <LEVEL>", "Only this or worse: info, unknown (none was set), low, medium, high, critical."],
  ["--outcome <WHICH>", "Only what was allowed, prevented, or is unknown."],
  ["--since <TIME>", "Only what was seen since: 30m, 24h, 7d, 2026-11-23, 2026-11-23T10:00:00Z."],
  ["--new", "Only what was first seen since then (default: in the last 24 hours)."],
  ["--accepted", "Also what an acceptance covers."],
];

interface Definition {
  name: string;
  usage?: string;
  about: string;
  flags: readonly Flag[];
  notes?: string;
}

/** Every command, in the order of the help. */
export const COMMANDS: readonly Definition[] = [
  {
    name: "list",
    about: "list violations, worst first (the default)",
    flags: [
      ...PLACE,
      ...FILTER,
      ["-o, --output <FORM>", "wide, json, yaml or name."],
      ["-w, --watch", "Goes on, and shows what changes."],
      ["--limit <N>", "At most so many lines; default: 100 on a screen, else all. 0 is all."],
    ],
  },
  {
    name: "explain",
    usage: "<REPORT|ID>",
    about: "tell a violation, or a report's, in sentences",
    flags: [...PLACE, ["--all", "Every violation of a report; default: the worst five."]],
    notes: `
REPORT is NAME, NAMESPACE/NAME or cpvr/NAME; ID is the id of a violation from the table.
`,
  },
  {
    name: "top",
    about: "watch what is happening now",
    flags: [
      ...PLACE,
      ...FILTER,
      ["--interval <TIME>", "How often to look; default 2s."],
      ["--once", "Looks twice and ends."],
    ],
  },
  {
    name: "timeline",
    about: "show when it happened",
    flags: [
      ...PLACE,
      ...FILTER,
      ["--window <TIME>", "How far back; default: as far as the reports go."],
      ["--buckets <N>", "Into how many parts; default 24."],
    ],
  },
  {
    name: "readiness",
    usage: "[POLICY]",
    about: "tell whether a policy can go from audit to block",
    flags: [
      ...PLACE,
      ["--window <TIME>", "How far to look back; default 7d."],
      ["-o, --output <FORM>", "json or yaml."],
    ],
    notes: `
Exit codes: 0 all ready, 1 not ready or not enough seen, 2 wrong call, 3 it could not be found out.
`,
  },
  {
    name: "export",
    about: "write the reports as YAML that two runs write alike, for Git",
    flags: [
      ...PLACE,
      ["--out <DIR>", "Where to; made if it is not there. Files of reports that are gone are removed."],
      ["--check <DIR>", "Writes nothing; exit code 1 and a diff when DIR is not up to date."],
      ["--summary", "Leaves out what changes every minute: counts, last times, pods, evidence."],
    ],
  },
  {
    name: "push",
    about: "export into a Git repository, commit and push",
    flags: [
      ...PLACE,
      ["--repository <URL>", "Where to: https://…, ssh://…, git@host:path or a path."],
      ["--branch <NAME>", "The branch; default main. Made when it is not there."],
      ["--path <DIR>", "The directory in the repository; default violations."],
      ["--summary", "As in export."],
      [
        "--credentials <DIR>",
        "Files as in a Secret: username and password (https), or ssh-privatekey and known_hosts (ssh).",
      ],
      ["--author <WHO>", 'Default "policy-violation-operator <noreply@policy-violation-operator>".'],
      ["--message <TEXT>", "The first line of the commit; default tells what changed."],
    ],
    notes: `
Needs git (and ssh for ssh://). Commits nothing when nothing changed. A push that another one overtook is tried again.
`,
  },
  {
    name: "gate",
    about: "end with 1 while there are violations that nobody accepted",
    flags: [
      ...PLACE,
      ...FILTER.filter(([flag]) => flag !== "--accepted"),
      ["--baseline <DIR>", "Passes over what an exported directory already has."],
      ["--require-coverage", "Ends with 3 when alerts may have been missed in the time looked at."],
      ["--wait <TIME>", "Looks again until the gate is open, so long at most: 30s, 5m."],
      ["-o, --output <FORM>", "text (default), json, junit or sarif."],
    ],
    notes: `
Exit codes: 0 open, 1 shut, 2 wrong call, 3 it could not be found out.
`,
  },
  {
    name: "audit",
    about: "write one page that tells the whole state, to read, print and keep",
    flags: [
      ...PLACE,
      ...FILTER.filter(([flag]) => flag !== "--accepted"),
      ["--out <FILE>", "Where to; default: standard output."],
      ["--format <FORM>", "html (default; one file, no script, no network) or markdown."],
    ],
  },
  {
    name: "completion",
    usage: "<SHELL>",
    about: "print the completion script for bash, zsh or fish",
    flags: [],
  },
];

/** Every name of a flag that a value follows; one name means the same in every command. */
const VALUED: ReadonlySet<string> = new Set(
  COMMANDS.flatMap(({ flags }) => flags.flatMap(([text]) => (text.includes("<") ? flagNames(text) : []))),
);

/** Returns the names in the text of a flag: `-n` and `--namespace` of `-n, --namespace <NAME>`. */
export function flagNames(text: string): string[] {
  return [...text.matchAll(/--?[a-zA-Z-]+/g)].map(([name]) => name).filter((name) => name.length > 1);
}

/** Returns where the first word is that is no flag and no flag's value; -1 if there is none. */
export function firstWord(argv: readonly string[]): number {
  return argv.findIndex((word, i) => !word.startsWith("-") && !VALUED.has(argv[i - 1] ?? ""));
}

/** Returns `argv` with the command in front, for kubectl takes flags before it: `-n shop gate` is `gate -n shop`. */
export function commandFirst(argv: readonly string[]): readonly string[] {
  const at = firstWord(argv);
  const word = argv[at];
  if (word === undefined || argv.includes("--") || !COMMANDS.some(({ name }) => name === word)) return argv;
  return [word, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

/** Returns `argv` with `-n=shop` as `-n shop`: kubectl takes both, and the parser would take "=shop" for the value. */
function shortFlagsApart(argv: readonly string[]): readonly string[] {
  return argv.flatMap((word) => {
    const [, flag, value] = /^(-[a-zA-Z])=(.*)$/s.exec(word) ?? [];
    return flag !== undefined && value !== undefined && VALUED.has(flag) ? [flag, value] : [word];
  });
}

/** Returns what a call asks for; `argv` is without the program's own name. */
export function parseCall(argv: readonly string[], version: string): Call {
  let call: Call | undefined;
  const found: ViolationRef = (command, args, flags) => {
    // The table is what a call without a command asks for, so a word of it that is none was meant to be a command.
    const unknown = command === "list" ? args[0] : undefined;
    call = unknown === undefined ? { command, args, flags } : noCommand(unknown);
  };
  const texts = {
    name: PLUGIN,
    about: ABOUT,
    version: `kubectl-violations ${version}`,
    notes: PROGRAM_NOTES,
  };
  const said = parseProgram(texts, commandFirst(shortFlagsApart(argv)), (program) => {
    for (const definition of COMMANDS) addCommand(program, definition, found);
  });
  if (!said) return call ?? { exit: EXIT.usage, stdout: "", stderr: "" };
  const { isMistake, stdout, stderr } = said;
  return { exit: isMistake ? EXIT.usage : EXIT.ok, stdout, stderr };
}

type ViolationRef = (command: string, args: string[], flags: Flags) => void;

function noCommand(word: string): Call {
  const names = COMMANDS.map(({ name }) => name).join(", ");
  const stderr =
    `error: there is no command "${plain(word)}": the commands are ${names}; ` +
    `one report or violation is told by \`${PLUGIN} explain\`\nAdd --help to see what there is.\n`;
  return { exit: EXIT.usage, stdout: "", stderr };
}

function addCommand(
  program: Command,
  { name, usage, about, flags, notes }: Definition,
  found: ViolationRef,
): void {
  const command = program
    .command(name, { isDefault: name === "list" })
    .summary(about)
    .description(`${about[0]?.toUpperCase()}${about.slice(1)}.`);
  if (usage !== undefined) command.argument(usage);
  for (const [text, meaning] of flags) command.addOption(new Option(text, meaning));
  if (notes !== undefined) command.addHelpText("after", notes);
  if (name === "list") command.allowExcessArguments();
  command.action(() => found(name, command.args, command.opts<Flags>()));
}
