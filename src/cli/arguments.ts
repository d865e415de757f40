// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The command line: commands, flags, their help, and the parsed call.
// Invariant: pure. It reads no process state, prints nothing and never exits; it returns the invocation.

import { type Command, Option } from "commander";
import { PRODUCT } from "../api/names.ts";
import type { FlagInputs } from "../config/environment.ts";
import { type Setting, settings } from "../config/settings.ts";
import { parseProgram } from "./program.ts";

export type Invocation =
  | { command: "run" | "collect"; flags: FlagInputs; configPath?: string | undefined; printConfig: boolean }
  | { command: "replay"; file: string; out: string; configPath?: string | undefined }
  | { command: "demo"; out?: string | undefined }
  /** Nothing to run: help, version (0) or a mistake (2); the texts are to be printed as they are. */
  | { exit: 0 | 2; stdout: string; stderr: string };

/** The exit code for a call or a configuration that is wrong. */
export const EXIT_USAGE = 2;

const ABOUT = `Aggregates KubeArmor's alert stream into one PolicyViolationReport per
namespace and violated policy, and sends Events about the offending pods.`;

const PROGRAM_EXAMPLES = `
Examples:
  ${PRODUCT} run --config /etc/${PRODUCT}/config.yaml
  zcat alerts.jsonl.gz | ${PRODUCT} replay - --out audit/
`;

const RUN_NOTES = `
Every setting is a key of the configuration file and an environment variable: reports.maxBytes is
PVO_REPORTS_MAX_BYTES. Precedence: flags, environment, file, defaults.

Examples:
  ${PRODUCT} run
  ${PRODUCT} run --kubeconfig ~/.kube/config --relay-address localhost:32767
  ${PRODUCT} run --config pvo.yaml --print-config

Exit codes: 0 stopped on request, 1 failed, 2 wrong flags or configuration.
`;

const COLLECT_NOTES = `
Needs a NATS server with JetStream (scale.nats) and owners; see docs/scaling.md.

Examples:
  ${PRODUCT} collect --config /etc/${PRODUCT}/config.yaml

Exit codes: 0 stopped on request, 1 failed or stopped with counts not published, 2 wrong flags or configuration.
`;

const REPLAY_NOTES = `
FILE holds one alert as JSON per line: the output of karmor, of the relay or of the daemon's log;
- is standard input. The same alerts in any order give the same files, byte for byte:
  DIR/<namespace>/policyviolationreports/<name>.yaml
  DIR/_cluster/clusterpolicyviolationreports/<name>.yaml

Examples:
  ${PRODUCT} replay alerts.jsonl --out audit/
  zcat alerts.jsonl.gz | ${PRODUCT} replay - --out audit/

Exit codes: 0 every line understood, 1 failed, 2 wrong flags or configuration, 3 some lines were not
understood (they are named on standard error).
`;

const DEMO_NOTES = `
Needs nothing installed and no cluster.

Examples:
  ${PRODUCT} demo
  ${PRODUCT} demo --out /tmp/reports
`;

/** Builds the option of a setting from the setting's own description. */
function toOption({ flag, about, path, default: value, defaultText }: Setting): Option | undefined {
  if (flag === undefined) return undefined;
  const words = about.replaceAll("`", "");
  if (flag.argument === undefined)
    return new Option(flag.name, `Turns off ${path}: ${words.charAt(0).toLowerCase()}${words.slice(1)}`);
  const fallback = defaultText ?? String(value);
  const suffix = fallback === "" ? "" : ` Default: ${fallback}.`;
  return new Option(`${flag.name} <${flag.argument}>`, words + suffix);
}

function createConfigOption(): Option {
  return new Option("--config <FILE>", "The configuration as a YAML file.");
}

function addRun(program: Command, onInvocation: (invocation: Invocation) => void): void {
  const run = program
    .command("run")
    .summary("read KubeArmor's alerts and write the reports of a cluster")
    .description("Reads KubeArmor's alerts and writes the reports and Events of a cluster until it is stopped.");
  addSettings(run, "run", RUN_NOTES, onInvocation);
}

function addCollect(program: Command, onInvocation: (invocation: Invocation) => void): void {
  const collect = program
    .command("collect")
    .summary("read a share of the nodes and publish the counts to NATS")
    .description(
      "Reads KubeArmor on a share of the nodes and publishes what it counts to NATS JetStream until it is stopped. " +
        "The owners (run with scale.enabled) write the reports.",
    );
  addSettings(collect, "collect", COLLECT_NOTES, onInvocation);
}

function addSettings(
  run: Command,
  command: "run" | "collect",
  notes: string,
  onInvocation: (invocation: Invocation) => void,
): void {
  run
    .addOption(createConfigOption())
    .option("--print-config", "Prints the effective configuration with the origin of each value, and exits.")
    .addHelpText("after", notes);
  const paths = new Map<string, string>();
  for (const setting of settings) {
    const option = toOption(setting);
    if (option === undefined) continue;
    run.addOption(option);
    paths.set(option.attributeName(), setting.path);
  }
  run.action(() => {
    const given = run.opts<{ config?: string; printConfig?: boolean } & Record<string, string | boolean>>();
    const flags: Record<string, string | boolean> = {};
    for (const [name, path] of paths) {
      const value = given[name];
      if (value !== undefined && run.getOptionValueSource(name) === "cli") flags[path] = value;
    }
    onInvocation({ command, flags, configPath: given.config, printConfig: given.printConfig === true });
  });
}

function addReplay(program: Command, onInvocation: (invocation: Invocation) => void): void {
  program
    .command("replay")
    .summary("turn a file of alerts into reports")
    .description("Reads alerts from a file or standard input and writes the reports as YAML files.")
    .argument("<FILE|->", "JSON lines, or - for standard input")
    .requiredOption("--out <DIR>", "The directory for the reports; created if missing.")
    .addOption(createConfigOption())
    .addHelpText("after", REPLAY_NOTES)
    .action((file: string, { out, config: configPath }: { out: string; config?: string }) => {
      onInvocation({ command: "replay", file, out, configPath });
    });
}

function addDemo(program: Command, hidden: boolean, onInvocation: (invocation: Invocation) => void): void {
  program
    .command("demo", { hidden })
    .summary("run the operator on sample alerts, without a cluster")
    .description("Streams sample alerts through the whole program and shows the reports and Events.")
    .option("--out <DIR>", "The directory for the reports; default: a new temporary directory.")
    .addHelpText("after", DEMO_NOTES)
    .action(({ out }: { out?: string | undefined }) => {
      onInvocation({ command: "demo", out });
    });
}

/** Parses a call; `argv` is without the program's own name. Without `offersDemo` the help has no demo. */
export function parseArguments(argv: readonly string[], version: string, offersDemo = true): Invocation {
  let invocation: Invocation | undefined;
  const onInvocation = (parsed: Invocation) => {
    invocation = parsed;
  };
  const texts = { name: PRODUCT, about: ABOUT, version: `${PRODUCT} ${version}`, notes: PROGRAM_EXAMPLES };
  const output = parseProgram(texts, argv, (program) => {
    addRun(program, onInvocation);
    addCollect(program, onInvocation);
    addReplay(program, onInvocation);
    addDemo(program, !offersDemo, onInvocation);
  });
  if (!output) return invocation ?? { exit: EXIT_USAGE, stdout: "", stderr: "" };
  const { isMistake, stdout, stderr } = output;
  return { exit: isMistake ? EXIT_USAGE : 0, stdout, stderr };
}
