// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The command line: commands, flags, their help, and the call that a user makes.
// Invariant: pure; it prints nothing and ends nothing.

import { type Command, Option } from "commander";
import { parseProgram } from "../../../src/cli/program.ts";
import type { FilterFlags } from "../reports/filter.ts";
import { EXIT } from "../reports/problem.ts";
import { plain } from "../text/escape.ts";

export const PLUGIN = "kubectl violations";

/** Every flag of every command, as it was given. */
export interface Flags extends FilterFlags {
  namespace?: string;
  allNamespaces?: boolean;
  context?: string;
  kubeconfig?: string;
  as?: string;
  asGroup?: readonly string[];
  operatorLease?: string;
  from?: string;
  output?: string;
  headers?: boolean;
  sortBy?: string;
  watch?: boolean;
  limit?: string;
  all?: boolean;
  out?: string;
  check?: string;
  summary?: boolean;
  baseline?: string;
  exportDir?: string;
  requireCoverage?: boolean;
  wait?: string;
  format?: string;
  buckets?: string;
  window?: string;
  reason?: string;
  owner?: string;
  expires?: string;
  name?: string;
  apply?: boolean;
  repository?: string;
  branch?: string;
  path?: string;
  credentials?: string;
  author?: string;
  message?: string;
}

export type Call =
  | { command: string; args: string[]; flags: Flags }
  /** Nothing to run: help, version or a mistake; the texts are printed as they are. */
  | { exit: 0 | 2; stdout: string; stderr: string };

const ABOUT = `Shows the violations of KubeArmor's policies, from the reports that policy-violation-operator keeps.

Without a command it lists violations, worst first.`;

const PROGRAM_NOTES = `
Examples:
  ${PLUGIN} -A                                  # every violation, worst first
  ${PLUGIN} -n shop --outcome allowed --since 24h
  ${PLUGIN} explain 41a589a66b87c1f3            # one violation, and what to do
  ${PLUGIN} readiness harden-wordpress -n wordpress-mysql
  ${PLUGIN} export -A --out violations/         # the state as YAML, for Git
  ${PLUGIN} gate -A --severity high --baseline violations/

Exit codes: 0 done, 1 the answer is no (gate, export --check, readiness), 2 wrong usage, 3 the answer is unknown
(no connection, no rights, no CRDs, no such report, a file that is not a report; gate and readiness: a cut list, a gap
that has not ended, an operator that may not be running).
`;

type Flag = readonly [flags: string, about: string];

const CLUSTER: readonly Flag[] = [
  ["-n, --namespace <NAME>", "The namespace; default: that of the context."],
  ["--context <NAME>", "The context of the kubeconfig."],
  ["--kubeconfig <FILE>", "The kubeconfig; default: $KUBECONFIG, then ~/.kube/config."],
  ["--as <USER>", "The user to impersonate."],
  ["--as-group <GROUP>", "A group to impersonate, with --as; may be given several times."],
];

const REPEATED: ReadonlySet<string> = new Set(["--as-group <GROUP>"]);

const PLACE: readonly Flag[] = [
  ...CLUSTER.slice(0, 1),
  ["-A, --all-namespaces", "Every namespace, and hosts."],
  ...CLUSTER.slice(1),
  ["--from <DIR>", "Reads a directory that `export` or `replay` wrote instead of a cluster."],
];

const LEASE: Flag = [
  "--operator-lease <NAMESPACE/NAME>",
  "The operator's Lease; default kubearmor/policy-violation-operator.",
];

const FILTER: readonly Flag[] = [
  ["--policy <GLOB>", "Only these policies; * is any text."],
  ["--workload <GLOB>", "Only these workloads: a name or Kind/name; * is any text."],
  ["--pod <GLOB>", "Only violations in such a pod, or in more pods than they list."],
  ["--node <GLOB>", "Only violations on such a node, or in more pods than they list."],
  ["--container <GLOB>", "Only containers of this name."],
  ["--tag <GLOB>", "Only policies or rules with such a tag."],
  ["-l, --selector <LABELS>", "Only violations of pods with these labels: app=web,tier!=db."],
  ["--severity <LEVEL>", "Only this or worse: info, unknown (none was set), low, medium, high, critical."],
  ["--outcome <OUTCOME>", "Only allowed, prevented or unknown; several with commas."],
  ["--since <TIME>", "Only what was last seen since: 30m, 24h, 7d, 2026-11-23, 2026-11-23T10:00:00Z."],
  ["--new", "Only what was first seen since then (default: in the last 24 hours)."],
];

const ACCEPTED: Flag = ["--accepted", "Includes accepted violations."];
const ON_SCREEN = "100 in a table on a screen, else all";
const limitTo = (what: string, standard = ON_SCREEN): Flag => [
  "--limit <N>",
  `At most this many ${what}; default: ${standard}. 0 is all.`,
];

export interface Definition {
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
      LEASE,
      ...FILTER,
      ACCEPTED,
      ["-o, --output <FORM>", "wide, json, yaml, name, csv, jsonpath=TEMPLATE or custom-columns=SPEC."],
      ["--sort-by <KEY>", "severity, count, last-seen, first-seen, namespace, workload, policy, or a JSONPath."],
      ["--no-headers", "Leaves out the header."],
      ["-w, --watch", "Keeps running and prints changes; reads every 5 s."],
      limitTo("violations"),
    ],
  },
  {
    name: "explain",
    usage: "<REPORT|ID>",
    about: "explain a violation or a report, and what to do",
    flags: [
      ...PLACE,
      LEASE,
      ["--all", "Every violation of a report; default: the worst five."],
      limitTo("violations", "the worst five of a report"),
    ],
    notes: `
REPORT is NAME, NAMESPACE/NAME or cpvr/NAME; ID is the id of a violation (-o wide), or its beginning.
`,
  },
  {
    name: "timeline",
    about: "show occurrences over time",
    flags: [
      ...PLACE,
      LEASE,
      ...FILTER,
      ["--window <TIME>", "How far back; default: as far as the reports go."],
      ["--buckets <N>", "Number of bars, where the reports have no history; default 24."],
    ],
  },
  {
    name: "readiness",
    usage: "[POLICY]",
    about: "check if a policy can go from audit to block",
    flags: [
      ...PLACE,
      LEASE,
      ["--window <TIME>", "The period to check; default 7d."],
      ["-o, --output <FORM>", "json or yaml."],
      limitTo("reports"),
    ],
    notes: `
Exit codes: 0 all ready, 1 not ready, 2 wrong usage, 3 unknown.
`,
  },
  {
    name: "accept",
    usage: "<ID>",
    about: "print or apply an AcceptedViolation for exactly one violation",
    flags: [
      ...CLUSTER,
      ["--from <DIR>", "Reads the violation from a directory."],
      ["--policy <GLOB>", "The policy, where several reports list the id."],
      ["--reason <TEXT>", "Required: why it is accepted."],
      ["--owner <NAME>", "Owner of the decision."],
      ["--expires <TIME>", "End of the acceptance: 90d, or a time."],
      ["--name <NAME>", "Name of the AcceptedViolation; default accept-ID."],
      ["--apply", "Creates or updates it in the cluster; default: prints it, for Git."],
    ],
  },
  {
    name: "accepted",
    about: "list acceptances, those that expire first at the top",
    flags: [
      ...CLUSTER.slice(0, 1),
      ["-A, --all-namespaces", "Every namespace."],
      ...CLUSTER.slice(1),
      LEASE,
      ["-o, --output <FORM>", "json or yaml."],
      ["--no-headers", "Leaves out the header."],
      limitTo("acceptances"),
    ],
  },
  {
    name: "gate",
    about: "pass or fail a pipeline on open violations",
    flags: [
      ...PLACE,
      LEASE,
      ...FILTER,
      ["--all", "Every open violation; default: allowed or unknown, and first seen in the last 24 hours."],
      ["--baseline <DIR>", "Ignores violations that an exported directory has; checks the others at any age."],
      ["--require-coverage", "Exits with 3 when alerts may have been missed in the period."],
      ["--wait <TIME>", "Looks again until the gate passes, up to this long: 30s, 5m."],
      ["-o, --output <FORM>", "text (default), json, junit or sarif."],
      ["--export-dir <DIR>", "Directory of the export, for the paths in SARIF; default: --baseline, else violations."],
      limitTo("violations"),
    ],
    notes: `
Exit codes: 0 PASSED, 1 FAILED, 2 wrong usage, 3 UNKNOWN.
`,
  },
  {
    name: "export",
    about: "write the reports as reproducible YAML, for Git",
    flags: [
      ...PLACE,
      LEASE,
      ["--out <DIR>", "The directory; created if needed. Files of reports that no longer exist are removed."],
      ["--check <DIR>", "Writes nothing; exit code 1 and a diff when DIR is not up to date."],
      ["--summary", "Leaves out what changes every minute: counts, last times, pods, evidence."],
    ],
  },
  {
    name: "audit",
    about: "write the state as one page to read, print and keep",
    flags: [
      ...PLACE,
      LEASE,
      ...FILTER,
      ["--out <FILE>", "The file; default: standard output."],
      ["--format <FORM>", "html (default; one file, no script, no network) or markdown."],
      limitTo("violations", "500"),
    ],
  },
  { name: "version", about: "print the version", flags: [] },
];

/** `push`, in the GitOps image alone: it needs git and credentials. */
export const PUSH: Definition = {
  name: "push",
  about: "export into a Git repository, commit and push",
  flags: [
    ...PLACE,
    LEASE,
    ["--repository <URL>", "The repository: https://…, ssh://…, git@host:path or a path."],
    ["--branch <NAME>", "The branch; default main. Created if needed."],
    ["--path <DIR>", "The directory in the repository; default violations."],
    ["--summary", "As in export."],
    [
      "--credentials <DIR>",
      "Files as in a Secret: username and password (https), or ssh-privatekey and known_hosts (ssh).",
    ],
    ["--author <AUTHOR>", 'Default "policy-violation-operator <noreply@policy-violation-operator>".'],
    ["--message <TEXT>", "The first line of the commit; default: what changed."],
  ],
  notes: `
Needs git (and ssh for ssh://). Commits nothing when nothing changed. A push that was overtaken is tried again.
`,
};

/** Every name of a flag that takes a value; one name means the same in every command. */
const VALUED: ReadonlySet<string> = new Set(
  [...COMMANDS, PUSH].flatMap(({ flags }) =>
    flags.flatMap(([text]) => (text.includes("<") ? listFlagNames(text) : [])),
  ),
);

/** Returns the names in the text of a flag: `-n` and `--namespace` of `-n, --namespace <NAME>`. */
export function listFlagNames(text: string): string[] {
  return [...text.matchAll(/--?[a-zA-Z-]+/g)].map(([name]) => name).filter((name) => name.length > 1);
}

/** Returns the index of the first word that is neither a flag nor a flag's value; -1 without one. */
export function findFirstWord(argv: readonly string[]): number {
  return argv.findIndex((word, i) => !word.startsWith("-") && !VALUED.has(argv[i - 1] ?? ""));
}

/** Returns `argv` with the command in front, as kubectl takes flags before it: `-n shop gate` is `gate -n shop`. */
export function moveCommandFirst(argv: readonly string[], commands: readonly Definition[]): readonly string[] {
  const at = findFirstWord(argv);
  const word = argv[at];
  if (word === undefined || argv.includes("--") || !commands.some(({ name }) => name === word)) return argv;
  return [word, ...argv.slice(0, at), ...argv.slice(at + 1)];
}

/** Returns `argv` with `-n=shop` as `-n shop`: kubectl takes both, and the parser would read "=shop" as the value. */
function splitShortFlags(argv: readonly string[]): readonly string[] {
  return argv.flatMap((word) => {
    const [, flag, value] = /^(-[a-zA-Z])=(.*)$/s.exec(word) ?? [];
    return flag !== undefined && value !== undefined && VALUED.has(flag) ? [flag, value] : [word];
  });
}

type Found = (command: string, args: string[], flags: Flags) => void;

/** Parses a call; `argv` is without the program's own name. */
export function parseCall(argv: readonly string[], version: string, commands = COMMANDS): Call {
  let call: Call | undefined;
  const found: Found = (command, args, flags) => {
    // `list` takes no argument: a word was meant as a command.
    const unknown = command === "list" ? args[0] : undefined;
    call = unknown === undefined ? { command, args, flags } : rejectCommand(unknown, commands);
  };
  const texts = { name: PLUGIN, about: ABOUT, version: `kubectl-violations ${version}`, notes: PROGRAM_NOTES };
  const output = parseProgram(texts, moveCommandFirst(splitShortFlags(argv), commands), (program) => {
    for (const definition of commands) addCommand(program, definition, found);
  });
  if (!output) return call ?? { exit: EXIT.usage, stdout: "", stderr: "" };
  const { isMistake, stdout, stderr } = output;
  return { exit: isMistake ? EXIT.usage : EXIT.ok, stdout, stderr };
}

function rejectCommand(word: string, commands: readonly Definition[]): Call {
  const names = commands.map(({ name }) => name).join(", ");
  const stderr =
    `error: unknown command "${plain(word)}": expected one of ${names}. ` +
    `\`${PLUGIN} explain\` explains one report or violation.\nSee --help for commands and flags.\n`;
  return { exit: EXIT.usage, stdout: "", stderr };
}

/** Values of flags that may be given several times are gathered. */
function createOption(text: string, meaning: string): Option {
  const option = new Option(text, meaning);
  return REPEATED.has(text)
    ? option.argParser((value, before: readonly string[] | undefined) => [...(before ?? []), value])
    : option;
}

function addCommand(program: Command, { name, usage, about, flags, notes }: Definition, found: Found): void {
  const command = program
    .command(name, { isDefault: name === "list" })
    .summary(about)
    .description(`${about[0]?.toUpperCase()}${about.slice(1)}.`);
  if (usage !== undefined) command.argument(usage);
  for (const [text, meaning] of flags) command.addOption(createOption(text, meaning));
  if (notes !== undefined) command.addHelpText("after", notes);
  if (name === "list") command.allowExcessArguments();
  command.action(() => found(name, command.args, command.opts<Flags>()));
}
