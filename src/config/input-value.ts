// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// An input value with its origin; the three readers (file, environment, flags) return these.
// Invariant: only the form is checked here; config.ts validates the values.

import type { ConfigProblem } from "./config-problem.ts";
import { findNearest } from "./nearest.ts";

export interface InputValue {
  path: string;
  value: unknown;
  source: string;
}

export interface Reading {
  given: InputValue[];
  problems: ConfigProblem[];
}

/** Returns a problem for a name that nothing reads; its value may be anything, so it is not repeated. */
export function describeUnknownName(
  path: string,
  source: string,
  known: Iterable<string>,
  kind: "key" | "variable",
): ConfigProblem {
  const guess = findNearest(path, known);
  const hint = guess === undefined ? "" : `; did you mean ${guess}?`;
  return { path, source, message: `is not a known ${kind}${hint}` };
}
