// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Optional texts in the objects of a report. Invariant: an empty text is no field.

/** Sets a field, but for an empty text. */
export function setText<K extends string>(object: { [P in K]?: string }, field: K, text: string): void {
  if (text !== "") object[field] = text;
}
