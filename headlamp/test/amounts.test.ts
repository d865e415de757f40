// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { formatAmount, getOpenCounts, sumOpenCounts } from "../src/model/amounts.ts";
import { readBars } from "../src/model/history-bars.ts";
import { createReport, createViolation } from "./reports.ts";

const INCOMPLETE = { coverage: { gaps: 1, throttleNotices: 0, lowerBound: true } };

describe("numbers", () => {
  test("have the sign of a lower bound, or are unknown", () => {
    expect([formatAmount(1234, false), formatAmount(12, true), formatAmount(undefined, true)]).toEqual([
      "1,234",
      "≥ 12",
      "unknown",
    ]);
  });

  test("are those that are not accepted", () => {
    const open = { occurrences: 1, prevented: 0, allowed: 1, unknown: 0, violations: 1, severity: "low" as const };
    const report = createReport([createViolation()], { summary: { open } });
    expect(getOpenCounts(report)).toEqual({ Allowed: 1, Unknown: 0, Prevented: 0, violations: 1 });
    expect(getOpenCounts(createReport([createViolation()])).Allowed).toBe(3);
  });

  test("add up to a lower bound where a report is one, or may be missing", () => {
    const exact = createReport([createViolation()]);
    const sum = { Allowed: 6, Unknown: 0, Prevented: 0, violations: 2 };
    expect(sumOpenCounts([exact, exact], false)).toEqual({ ...sum, isAtLeast: false });
    expect(sumOpenCounts([exact, exact], true)).toEqual({ ...sum, isAtLeast: true });
    const less = createReport([createViolation()], INCOMPLETE);
    expect(sumOpenCounts([exact, less], false)).toEqual({ ...sum, isAtLeast: true });
  });
});

describe("the history", () => {
  const summary = {
    occurrences: 9,
    firstSeen: "2026-11-23T08:30:00.000000Z",
    lastSeen: "2026-11-23T10:10:00.000000Z",
    history: {
      hourly: [
        { start: "2026-11-23T08:00:00Z", prevented: 2 },
        { start: "2026-11-23T10:00:00Z", allowed: 3, unknown: 1 },
      ],
      daily: [{ start: "2026-11-23T00:00:00Z", prevented: 2, allowed: 3, unknown: 1 }],
    },
  };

  test("is by hour, with the hours in between, and counts what it does not show", () => {
    const history = readBars(createReport([], { summary }));
    expect(history).toMatchObject({ isByHour: true, isAtLeast: false, earlier: 3 });
    expect(history?.bars.map(({ counts }) => counts)).toEqual([
      { Allowed: 0, Unknown: 0, Prevented: 2 },
      { Allowed: 0, Unknown: 0, Prevented: 0 },
      { Allowed: 3, Unknown: 1, Prevented: 0 },
    ]);
  });

  test("is by day where the hours do not reach back, at most 31 of them", () => {
    const old = { ...summary, firstSeen: "2026-01-01T00:00:00.000000Z" };
    const history = readBars(createReport([], { summary: old }));
    expect(history).toMatchObject({ isByHour: false, earlier: 3 });
    expect(history?.bars).toHaveLength(31);
  });

  test("is a lower bound where the report or the history is, and unknown where there is none", () => {
    expect(readBars(createReport([], { summary, ...INCOMPLETE }))?.isAtLeast).toBe(true);
    const history = { ...summary.history, lowerBound: true };
    expect(readBars(createReport([], { summary: { ...summary, history } }))?.isAtLeast).toBe(true);
    expect(readBars(createReport([]))).toBeUndefined();
  });
});
