// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Completion in the shell: kubectl asks `kubectl_complete-violations`, and the plugin's own scripts ask the same.
// Invariant: a failure completes to nothing; nobody wants an error in the middle of a command line.

import { plain } from "../render/escape.ts";
import { EXIT, type ExitCode, usageError } from "../reports/problem.ts";
import { SEVERITIES } from "../reports/report-view.ts";
import { COMMANDS, commandFirst, type Flags, firstWord, flagNames, parseCall } from "./arguments.ts";
import { type Session, scopeOf } from "./session.ts";

/** The first argument of a call that asks for completions. */
export const COMPLETE = "__complete";

/** What cobra's completion calls "do not fall back to file names", and "do". */
const NO_FILES = ":4";
const FILES = ":0";

const VALUES: Readonly<Record<string, readonly string[]>> = {
  "--severity": SEVERITIES,
  "--outcome": ["allowed", "prevented", "unknown"],
  "--since": ["1h", "24h", "7d", "30d"],
  "--window": ["24h", "7d", "30d"],
  "--interval": ["2s", "10s", "1m"],
  "--format": ["html", "markdown"],
};

const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  list: ["wide", "json", "yaml", "name"],
  gate: ["text", "json", "junit", "sarif"],
  readiness: ["json", "yaml"],
};

const TAKES_FILES = /^--(?:kubeconfig|from|out|check|baseline|credentials|path)$/;

type Open = (flags: Flags) => Session;

/** Prints the completions of the last of `words`, as cobra does: one per line, then what to do with files. */
export async function complete(words: readonly string[], open: Open): Promise<string> {
  const last = words.at(-1) ?? "";
  // As cobra does: of `--policy=bl` only `bl` is completed, and the shell's script puts the rest before it.
  const [, flag, value] = /^(-[^=]+)=(.*)$/s.exec(last) ?? [];
  const current = value ?? last;
  try {
    const before = [...words.slice(0, -1), ...(flag === undefined ? [] : [flag])];
    const found = await candidates(commandFirst(before), current, open);
    if (found === undefined) return `${FILES}\n`;
    const fitting = [...new Set(found)].filter((one) => one.startsWith(current));
    return `${fitting.map((one) => `${plain(one)}\n`).join("")}${NO_FILES}\n`;
  } catch {
    // Without a cluster there is nothing to complete, and the shell shows nothing but what was typed.
    return `${NO_FILES}\n`;
  }
}

async function candidates(
  before: readonly string[],
  current: string,
  open: Open,
): Promise<string[] | undefined> {
  const flag = before.at(-1) ?? "";
  const name = commandOf(before);
  const definition = COMMANDS.find((one) => one.name === name);
  const flags = [...(definition?.flags ?? [])];
  const takesValue = flags.some(([text]) => text.includes("<") && flagNames(text).includes(flag));
  if (takesValue) return await values(flag, name, before, open);
  if (current.startsWith("-")) return flags.flatMap(([text]) => flagNames(text));
  if (name === "completion") return ["bash", "zsh", "fish"];
  if (firstWord(before) < 0) return COMMANDS.map((one) => one.name).filter((one) => one !== "list");
  if (name === "explain" || name === "readiness") {
    const session = open(flagsOf(before));
    const scope = scopeOf(flagsOf(before), session);
    const reports: string[] = [];
    for await (const { metadata, policy } of session.source.list(scope)) {
      const prefix =
        scope.namespace === undefined && name === "explain" ? `${metadata.namespace ?? "cpvr"}/` : "";
      reports.push(name === "explain" ? prefix + metadata.name : policy.name);
    }
    return reports.sort();
  }
  return [];
}

async function values(
  flag: string,
  command: string,
  before: readonly string[],
  open: Open,
): Promise<string[] | undefined> {
  if (TAKES_FILES.test(flag)) return undefined;
  if (VALUES[flag]) return [...VALUES[flag]];
  if (flag === "-o" || flag === "--output") return [...(OUTPUTS[command] ?? [])];
  const session = open(flagsOf(before.slice(0, -1)));
  if (flag === "-n" || flag === "--namespace") return (await session.source.namespaces()).sort();
  if (flag === "--context") return [...session.contexts].sort();
  if (flag !== "--policy" && flag !== "--workload") return [];
  const found: string[] = [];
  for await (const report of session.source.list(scopeOf(flagsOf(before.slice(0, -1)), session))) {
    if (flag === "--policy") found.push(report.policy.name);
    else found.push(...report.violations.map(({ workload }) => workload.name));
  }
  return found.sort();
}

/** The command that the words begin with; the table unless they name one. */
function commandOf(words: readonly string[]): string {
  const [first = ""] = words;
  return COMMANDS.some(({ name }) => name === first) ? first : "list";
}

/** The flags that are whole already; those that are not yet are as if not given. */
function flagsOf(words: readonly string[]): Flags {
  for (let end = words.length; end >= 0; end--) {
    const name = commandOf(words);
    const needsArgument = name === "explain" || name === "completion" ? ["x"] : [];
    const call = parseCall([...words.slice(0, end), ...needsArgument], "");
    if ("flags" in call) return call.flags;
  }
  return {};
}

const PROGRAM = "kubectl-violations";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# Completion of ${PROGRAM} for bash. With kubectl's own completion in place, \`kubectl violations\` completes, too,
# when kubectl_complete-violations is in the PATH.
_kubectl_violations() {
  local line out word head i n=-1 joins=
  local -a words=()
  # bash ends a word at = and at :, which names of contexts have; what it has cut is put together again.
  for (( i = 1; i <= COMP_CWORD; i++ )); do
    word=\${COMP_WORDS[i]}
    if [[ $n -ge 0 && ( $word == [=:]* || -n $joins ) ]]; then words[n]+=$word; else words[++n]=$word; fi
    if [[ $word == *[=:] ]]; then joins=yes; else joins=; fi
  done
  # What readline leaves standing: of a candidate it wants the rest.
  head=\${words[n]#-*=}
  head=\${head%"\${head##*[=:]}"}
  out=$(kubectl_complete-violations "\${words[@]}" 2>/dev/null) || return
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :0) compopt -o default ;;
      :*) ;;
      *) COMPREPLY+=("$(printf %q "\${line#"$head"}")") ;;
    esac
  done <<< "$out"
}
complete -F _kubectl_violations ${PROGRAM}
`,
  zsh: `#compdef ${PROGRAM}
# Completion of ${PROGRAM} for zsh.
_kubectl_violations() {
  local -a found
  local line
  local -a asked=("\${words[@]:1:$((CURRENT - 1))}")
  [[ $PREFIX == -*=* ]] && compset -P '-*='
  while IFS= read -r line; do
    case $line in
      :0) _files ;;
      :*) ;;
      *) found+=("$line") ;;
    esac
  done < <(kubectl_complete-violations "\${asked[@]}" 2>/dev/null)
  (( \${#found} )) && compadd -a found
}
compdef _kubectl_violations ${PROGRAM}
`,
  fish: `# Completion of ${PROGRAM} for fish.
function __kubectl_violations
  set -l last (commandline -ct)
  set -l words (commandline -opc) $last
  set -l flag (string match -r -- '^-[^=]*=' $last)
  for line in (kubectl_complete-violations $words[2..] 2>/dev/null)
    switch $line
      case :0
        for path in (__fish_complete_path (string replace -- "$flag" '' $last))
          printf '%s\\n' "$flag$path"
        end
      case ':*'
      case '*'
        printf '%s\\n' "$flag$line"
    end
  end
end
complete -c ${PROGRAM} -f -a '(__kubectl_violations)'
`,
};

/** Prints the script for a shell. */
export function completionScript(session: Pick<Session, "terminal">, shell: string): ExitCode {
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw usageError(
      `there is no completion for "${plain(shell)}": choose ${Object.keys(SCRIPTS).join(", ")}`,
    );
  session.terminal.out(script);
  return EXIT.ok;
}
