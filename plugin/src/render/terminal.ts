// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the terminal that a command of the plugin prints to. main.ts gives it the process's own.

export interface PluginTerminal {
  /** Prints to standard output; no newline is added. */
  out(text: string): void;
  /** Prints to standard error; no newline is added. */
  err(text: string): void;
  /** Whether standard output is a person's screen. */
  isInteractive: boolean;
  /** Whether colours are wanted: a screen, and NO_COLOR is not set. */
  hasColor: boolean;
  /** The width of the screen in cells; undefined when there is none, and nothing is shortened then. */
  columns: number | undefined;
  /** The height of the screen in lines. */
  rows: number | undefined;
}
