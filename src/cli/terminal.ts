// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where a command reads and prints. main.ts gives it the process's own.

import type { Readable } from "node:stream";

export interface Terminal {
  /** Prints to standard output; no newline is added. */
  out(text: string): void;
  /** Prints to standard error; no newline is added. */
  err(text: string): void;
  /** True if standard output is a terminal. */
  isInteractive: boolean;
  stdin: Readable;
}
