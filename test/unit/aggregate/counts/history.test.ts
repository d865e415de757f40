// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  addToHistory,
  DAY_US,
  emptyHistory,
  type History,
  mergeHistory,
} from "../../../../src/aggregate/counts/history.ts";
import type { Outcome, Summary } from "../../../../src/api/v1alpha1.ts";
import { HOUR_US } from "../../../../src/lib/time.ts";
import { parseHistory, renderHistory } from "../../../../src/report/render-history.ts";
import { checkAll, START_US } from "../../../support/gen.ts";

type Occurrence = readonly [Outcome, number];

const occurrence = fc.tuple(
  fc.constantFrom<Outcome>("Prevented", "Allowed", "Unknown"),
  fc.oneof(
    fc.integer({ min: 0, max: 60 * 24 }).map((hours) => START_US + hours * HOUR_US),
    fc.integer({ min: 0, max: 100 * HOUR_US }).map((us) => START_US + us),
  ),
);
const occurrences = fc.array(occurrence, { maxLength: 40 });

function buildHistory(list: readonly Occurrence[]): History {
  const history = emptyHistory();
  for (const [outcome, us] of list) addToHistory(history, outcome, us);
  return history;
}

/** Counted one by one, from the definition. */
function countExpected(
  list: readonly Occurrence[],
  unitUs: number,
  window: number,
): [number, number, number, number][] {
  const newest = Math.max(...list.map(([, us]) => Math.floor(us / unitUs)));
  const found = new Map<number, [number, number, number, number]>();
  for (const [outcome, us] of list) {
    const index = Math.floor(us / unitUs);
    if (index <= newest - window) continue;
    const bucket = found.get(index) ?? [index, 0, 0, 0];
    bucket[{ Prevented: 1, Allowed: 2, Unknown: 3 }[outcome]]!++;
    found.set(index, bucket);
  }
  return [...found.values()].sort(([a], [b]) => a - b);
}

describe("a history", () => {
  it("holds the last 48 hours and 31 days before the newest occurrence, in any order", () => {
    checkAll(500, [occurrences], (list) => {
      const history = buildHistory(list);
      expect(history.hours).toEqual(countExpected(list, HOUR_US, 48));
      expect(history.days).toEqual(countExpected(list, DAY_US, 31));
    });
  });

  it("of two sets is that of both, however they are merged", () => {
    checkAll(300, [occurrences, occurrences, occurrences], (a, b, c) => {
      const [x, y, z] = [buildHistory(a), buildHistory(b), buildHistory(c)];
      expect(mergeHistory(x, y)).toEqual(buildHistory([...a, ...b]));
      expect(mergeHistory(y, x)).toEqual(mergeHistory(x, y));
      expect(mergeHistory(mergeHistory(x, y), z)).toEqual(mergeHistory(x, mergeHistory(y, z)));
      expect(mergeHistory(emptyHistory(), x)).toEqual(x);
    });
  });

  it("is the same after it was written and read back, and as JSON", () => {
    checkAll(300, [occurrences], (list) => {
      const history = buildHistory(list);
      const summary = { history: renderHistory(history), occurrences: list.length } as Summary;
      expect(parseHistory(summary)).toEqual(history);
      expect(JSON.parse(JSON.stringify(history))).toEqual(history);
    });
  });

  it("writes the start of each hour and day, and no zeros", () => {
    const history = buildHistory([
      ["Prevented", START_US],
      ["Allowed", START_US + 1],
      ["Prevented", START_US + HOUR_US],
    ]);
    expect(renderHistory(history)).toEqual({
      hourly: [
        { start: "2026-11-23T10:00:00Z", prevented: 1, allowed: 1 },
        { start: "2026-11-23T11:00:00Z", prevented: 1 },
      ],
      daily: [{ start: "2026-11-23T00:00:00Z", prevented: 2, allowed: 1 }],
    });
  });

  it("is a lower bound where a stored report has none, or one that makes no sense", () => {
    const summary = (history: unknown) => ({ history, occurrences: 3 }) as Summary;
    expect(parseHistory(summary(undefined)).isLowerBound).toBe(true);
    const odd = { hourly: [{ start: "x", prevented: 1 }], daily: [] };
    expect(parseHistory(summary(odd))).toEqual({ hours: [], days: [], isLowerBound: true });
    expect(parseHistory({ occurrences: 0 } as Summary).isLowerBound).toBe(false);
  });
});
