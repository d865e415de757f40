// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Globs over paths and other text: `*` is anything but `/`, `**` anything, `?` one character but `/`, `\` takes the next
// one as it is.
// Invariant: no regular expression, no backtracking: a match costs at most pattern × text steps, whoever wrote either.

/** One step of a pattern. */
type Step = { kind: "char"; char: string } | { kind: "one" } | { kind: "some" } | { kind: "any" };

/** A glob that was read; `problem` is a sentence on why it is none. */
export type ReadGlob = { matches: (text: string) => boolean; isAny: boolean } | { problem: string };

/** What other dialects give a meaning: taken as it is written it would quietly match nothing. */
const FOREIGN = "[]{}()!";

/** Reads a pattern; code points count as characters. */
export function readGlob(pattern: string): ReadGlob {
  if (pattern === "") return { problem: "a glob must not be empty" };
  const steps: Step[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === "*") {
      const stars = runOf(chars, at);
      if (stars > 2) return { problem: "three or more * in a row mean nothing: write * or **" };
      steps.push(stars === 2 ? { kind: "any" } : { kind: "some" });
      at += stars - 1;
    } else if (char === "?") {
      steps.push({ kind: "one" });
    } else if (char === "\\") {
      const next = chars[++at];
      if (next === undefined) return { problem: "the \\ at the end has nothing to take as it is" };
      steps.push({ kind: "char", char: next });
    } else if (FOREIGN.includes(char)) {
      return { problem: `${char} is not known here: only *, ** and ? are; write \\${char} for itself` };
    } else {
      steps.push({ kind: "char", char });
    }
  }
  const isAny = steps.every(({ kind }) => kind === "any");
  return { matches: (text) => matches(steps, text), isAny };
}

function runOf(chars: readonly string[], from: number): number {
  let end = from;
  while (chars[end] === "*") end++;
  return end - from;
}

/** Follows all ways through the pattern at once: `at[i]` is whether the text so far is matched by the first i steps. */
function matches(steps: readonly Step[], text: string): boolean {
  let at = new Uint8Array(steps.length + 1);
  let next = new Uint8Array(steps.length + 1);
  at[0] = 1;
  skip(steps, at);
  for (const char of text) {
    next.fill(0);
    for (let i = 0; i < steps.length; i++) {
      if (at[i] === 0) continue;
      const step = steps[i] as Step;
      const isStar = step.kind === "some" || step.kind === "any";
      if (takes(step, char)) next[isStar ? i : i + 1] = 1;
    }
    skip(steps, next);
    [at, next] = [next, at];
  }
  return at[steps.length] === 1;
}

function takes(step: Step, char: string): boolean {
  if (step.kind === "char") return step.char === char;
  return step.kind === "any" || char !== "/";
}

/** A star may stand for nothing. */
function skip(steps: readonly Step[], at: Uint8Array): void {
  for (let i = 0; i < steps.length; i++) {
    const { kind } = steps[i] as Step;
    if (at[i] === 1 && (kind === "some" || kind === "any")) at[i + 1] = 1;
  }
}
