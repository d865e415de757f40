// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Errors for the person at the command line, and the exit codes that scripts rely on.
// Invariant: every message says what failed, where, and what to do next.

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** The answer is no: the gate failed, the directory differs, a policy is not ready. */
  no: 1,
  /** The call is wrong: flags, arguments, directories, kubeconfig. */
  usage: 2,
  /** The answer is unknown: no connection, no rights, no CRDs, a cut list, an operator that may not run. */
  failed: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end with a message for the user; anything else that is thrown is a bug. */
export class PluginError extends Error {
  override name = "PluginError";
  readonly exit: ExitCode;

  constructor(exit: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exit = exit;
  }
}

/** A call that can't be carried out as it was made. */
export function createUsageError(message: string): PluginError {
  return new PluginError(EXIT.usage, message);
}
