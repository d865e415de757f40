// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A command line that returns help and mistakes as texts, for the operator's commands and the kubectl plugin's.
// Invariant: prints nothing and ends nothing.

import { Command, CommanderError } from "commander";

export interface ProgramTexts {
  name: string;
  about: string;
  version: string;
  /** Behind the help. */
  notes: string;
}

/** A call that ends with what commander says: help or version (0), or a mistake. */
export interface HelpOutput {
  isMistake: boolean;
  stdout: string;
  stderr: string;
}

const HELP_WIDTH = 100;

/**
 * Parses `argv`, which is without the program's own name, by the commands that `addCommands` adds. Returns undefined
 * when a command's action was called, and what is to be printed otherwise.
 */
export function parseProgram(
  texts: ProgramTexts,
  argv: readonly string[],
  addCommands: (program: Command) => void,
): HelpOutput | undefined {
  let stdout = "";
  let stderr = "";
  // Subcommands inherit what is set before they are added.
  const program = new Command(texts.name)
    .description(texts.about)
    .version(texts.version, "-V, --version", "Prints the version.")
    .helpOption("-h, --help", "Prints this help.")
    .helpCommand("help [command]", "Prints the help of a command.")
    .addHelpText("after", texts.notes)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => {
        stdout += text;
      },
      writeErr: (text) => {
        stderr += text;
      },
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError("See --help for commands and flags.");
  addCommands(program);
  try {
    program.parse([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return { isMistake: error.exitCode !== 0, stdout, stderr };
  }
  return undefined;
}
