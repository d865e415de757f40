// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Text of a thrown value.

/** Returns the message of an Error, and any other value as text. */
export function getErrorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
