// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Texts that were searched to the end and hold no secret: most texts of an alert repeat in later ones.
// Invariant: the result and the steps are those of a new search. Bounded in number and bytes; no text with a secret is
// kept.

import type { Redact } from "./redact.ts";

const MAX_TEXTS = 4096;
const MAX_LENGTH = 256;

/** Wraps `redact` so that it searches the same text only once. */
export function rememberClean(redact: Redact): Redact {
  /** Steps of the search by text; the older half is dropped at the bound. */
  let [young, old] = [new Map<string, number>(), new Map<string, number>()];
  const remember = (text: string, steps: number): void => {
    if (young.size * 2 >= MAX_TEXTS) [young, old] = [new Map(), young];
    young.set(text, steps);
  };
  return (text, budget) => {
    if (budget === undefined || text.length > MAX_LENGTH) return redact(text, budget);
    const known = young.get(text) ?? old.get(text);
    // The rest of the budget may not suffice for a text that took more.
    if (known !== undefined && budget.steps > known) {
      if (!young.has(text)) remember(text, known);
      budget.steps -= known;
      return text;
    }
    const before = budget.steps;
    const out = redact(text, budget);
    if (out === text && budget.steps > 0) remember(text, before - budget.steps);
    return out;
  };
}
