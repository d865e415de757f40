// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Suggests the known name for a mistyped one.
// Invariant: a guess is offered only when it is near; a wrong hint is worse than none.

/** Case, '-' and '_' are the usual slips between YAML, environment and command line, so they weigh nothing. */
function foldCase(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** Levenshtein distance, where swapping two neighbors is one step too. */
function computeDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforeLast[j - 2]! + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/** Returns the distance of `name` from `candidate`; a right last part in the wrong section counts as near. */
function computeFarness(name: string, candidate: string): number {
  const whole = computeDistance(foldCase(name), foldCase(candidate));
  const lastPart = (path: string) => foldCase(path.slice(path.lastIndexOf(".") + 1));
  if (lastPart(name) !== lastPart(candidate)) return whole;
  // Sections left out in front are the nearest of all.
  return Math.min(whole, candidate.endsWith(`.${name}`) ? 1 : 1 + whole / 100);
}

/** Returns the candidate that `name` was probably meant to be; undefined when none is near. */
export function findNearest(name: string, candidates: Iterable<string>): string | undefined {
  // Beyond this it is not a slip, and the quadratic comparison should not be fed a whole paragraph.
  if (name.length > 100) return undefined;
  let best: string | undefined;
  let bestFarness = Math.min(foldCase(name).length, Math.max(2, Math.floor(foldCase(name).length / 4)) + 0.5);
  for (const candidate of candidates) {
    const far = computeFarness(name, candidate);
    if (far < bestFarness) {
      best = candidate;
      bestFarness = far;
    }
  }
  return best;
}
