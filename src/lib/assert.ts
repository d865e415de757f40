// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// For programmer errors only: a failed assertion ends the process; written counts are in the reports.

/** Throws when `condition` is false; `message` says which invariant was broken. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`broken invariant: ${message}`);
}

/** Marks a branch that the types rule out. */
export function unreachable(value: never): never {
  throw new Error(`broken invariant: unexpected ${String(value)}`);
}
