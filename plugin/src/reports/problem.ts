// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What can go wrong for a person at the command line, and the exit codes that scripts rely on.
// Invariant: every message says what failed, where, and what to do next.

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** The answer is no: the gate stays shut, the directory differs, the policy is not ready. */
  no: 1,
  /** The call is wrong: flags, arguments, directories, kubeconfig. */
  usage: 2,
  /** The question could not be answered: no connection, no right, no CRDs, no such report. */
  failed: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end with a message for the person who called; anything else that is thrown is a bug. */
export class PluginError extends Error {
  override name = "PluginError";
  readonly exit: ExitCode;

  constructor(exit: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exit = exit;
  }
}

/** A call that can't be carried out as it was made. */
export function usageError(message: string): PluginError {
  return new PluginError(EXIT.usage, message);
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
