// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads parsed JSON of unknown shape.
// Invariant: pure; never throws.

/** True for an object, not for an array or null. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The object, or an empty one in place of anything else. */
export function toObject(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

/** The string, or an empty one in place of anything else. */
export function toText(value: unknown): string {
  return typeof value === "string" ? value : "";
}
