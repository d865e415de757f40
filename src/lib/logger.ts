// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the log. Constant messages, values as fields; one line where an error is decided, not where it passes.
// Invariant: nothing raw from an alert is logged; values pass lib/sanitize first.

export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Says nothing: for tests and for commands that print their own account. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
