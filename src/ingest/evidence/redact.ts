// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Masks secrets in command lines before anything is keyed, kept, logged or sent.
// Invariant: the work per text is bounded. A text that needs more is masked from its second word on.

import { sanitize } from "../../lib/sanitize.ts";
import { markCommandLine } from "./secrets/command-line.ts";
import { BudgetExceeded, MASK, Marks } from "./secrets/marks.ts";
import { getStrength, type Strength } from "./secrets/names.ts";
import { markPairs } from "./secrets/pairs.ts";
import { markShapes } from "./secrets/shapes.ts";
import { markUrls } from "./secrets/urls.ts";

/** Longer text is cut before it is searched; twice the length that is kept. */
const MAX_SEARCHED = 1024;
const MAX_FIRST_WORD = 256;
/** Steps per alert: 15 command lines of 200 characters, or three of 1,000. About a millisecond. */
export const STEPS_PER_ALERT = 20_000;

/** Steps left for a group of texts, such as one alert's. A step is a character read or a word compared. */
export interface SearchBudget {
  steps: number;
}

/** Counts texts that were not searched to the end. */
export interface RedactionCounters {
  /** Texts masked from their second word on. */
  shortened: number;
}

/** Additions of the configuration: names of flags or variables, and whole expressions. */
export interface RedactionOptions {
  names?: readonly string[];
  patterns?: readonly string[];
}

/** Masks secrets in `text`; beyond the budget, everything after the first word. */
export type Redact = (text: string, budget?: SearchBudget) => string;

/**
 * Returns a function that redacts and sanitizes. A text is sanitized first, so that a bounded one is searched, and cut
 * after the search. All its texts share the budget.
 */
export function makeSafe(redact: Redact, budget: SearchBudget = { steps: STEPS_PER_ALERT }): (text: string) => string {
  return (text) => sanitize(redact(sanitize(text, MAX_SEARCHED), budget));
}

/**
 * Creates the function that redacts: secrets by their form, in URLs, beside the name of a secret, and in the arguments
 * of known programs. Redacting twice changes nothing.
 *
 * @throws SyntaxError for a pattern that does not compile; the configuration checks it first.
 */
export function createRedactor(options: RedactionOptions = {}, counters: RedactionCounters = { shortened: 0 }): Redact {
  const custom = (options.patterns ?? []).map((source) => new RegExp(source, "gi"));
  const classify = classifierWith(options.names ?? []);
  return (text, budget = { steps: STEPS_PER_ALERT }) => {
    const searched = text.length > MAX_SEARCHED ? text.slice(0, MAX_SEARCHED) : text;
    let out = searched;
    if (NEEDS_SEARCH.test(searched)) {
      const found = search(searched, classify, budget);
      if (found === undefined) counters.shortened++;
      out = found ?? maskArguments(searched);
    }
    for (const pattern of custom) out = out.replace(pattern, MASK);
    return out;
  };
}

/** Text without white space and separators, and too short to be a secret alone, has none. */
const NEEDS_SEARCH = /[\s=:@]|[\w~.-]{16}/;

/** Undefined where the budget is too small. */
function search(text: string, classify: (name: string) => Strength, budget: SearchBudget): string | undefined {
  if (budget.steps <= 0) return undefined;
  const marks = new Marks(text, budget);
  try {
    markShapes(marks);
    markUrls(marks);
    markPairs(marks, classify);
    markCommandLine(marks, classify);
  } catch (error) {
    if (!(error instanceof BudgetExceeded)) throw error;
    return undefined;
  }
  return marks.render();
}

/** The first word, at most 256 characters of it, and a mask for the rest. */
export function maskArguments(text: string): string {
  const space = text.search(/\s/);
  return `${text.slice(0, space < 0 ? MAX_FIRST_WORD : Math.min(space, MAX_FIRST_WORD))} ${MASK}`;
}

function classifierWith(names: readonly string[]): (name: string) => Strength {
  if (names.length === 0) return getStrength;
  const own = names.map((name) => name.toLowerCase());
  return (name) => {
    const lower = name.toLowerCase();
    const isOwn = own.some((each) => lower.endsWith(each) || lower.includes(`${each}-`) || lower.includes(`${each}_`));
    return isOwn ? "strong" : getStrength(name);
  };
}
