// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the terminal that a command prints to.

export interface PluginTerminal {
  /** Prints to standard output; no newline is added. */
  out(text: string): void;
  /** Prints to standard error; no newline is added. */
  err(text: string): void;
  /** True when standard output is a screen. */
  isInteractive: boolean;
  /** True on a screen, unless NO_COLOR is set. */
  hasColor: boolean;
  /** Width of the screen in cells; undefined without one: nothing is cut then. */
  columns: number | undefined;
}
