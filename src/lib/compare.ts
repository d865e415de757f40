// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Orders that are the same on every machine.

/** Compares by code unit. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
