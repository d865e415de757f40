// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A value as somebody gave it, with where it came from; the three readers (file, environment, flags) return these.
// Invariant: nothing is judged here but the form; whether a value is right is decided in one place, config.ts.

import type { ConfigProblem } from "./config-problem.ts";
import { nearest } from "./nearest.ts";

/** One value, unjudged. */
export interface InputValue {
  path: string;
  value: unknown;
  source: string;
}

/** What a reader found. */
export interface Reading {
  given: InputValue[];
  problems: ConfigProblem[];
}

/** Returns a problem for a name that nothing reads; its value may be anything, so it is not repeated. */
export function unknownName(
  path: string,
  source: string,
  known: Iterable<string>,
  kind: "key" | "variable",
): ConfigProblem {
  const guess = nearest(path, known);
  const hint = guess === undefined ? "" : `; did you mean ${guess}?`;
  return { path, source, message: `is no known ${kind}${hint}` };
}
