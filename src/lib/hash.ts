// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Stable names for things: the same input gives the same digits in every version, on every machine.
// node:crypto is the one import outside this room: a pure function that must not be written by hand.

import { hash } from "node:crypto";

export function stableHash(text: string, digits: 8 | 16 | 64): string {
  return hash("sha256", text, "hex").slice(0, digits);
}
