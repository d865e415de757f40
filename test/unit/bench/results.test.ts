// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { formatRow, renderResultsPage } from "../../../bench/support/results.ts";
import { median, medianRatio, percentile } from "../../../bench/support/statistics.ts";

const fast = { figure: "speed", against: "a | b", aim: "≥ 1", measured: "1.2", met: true };
const fat = { figure: "memory", against: "", aim: "≤ 150 MB", measured: "160 MB", met: false };
const shown = { figure: "bytes", against: "", aim: "", measured: "900", met: undefined };

describe("the page of results", () => {
  const page = renderResultsPage({
    date: "2026-11-23",
    facts: [["machine", "2 × slow"]],
    outcomes: [
      {
        name: "one",
        about: "About one.",
        findings: { rows: [fast, fat, shown], details: [{ head: ["client", "k/s"], lines: [["bare", "76"]] }] },
      },
      { name: "two", about: "About two.", skipped: "no go" },
      { name: "three", about: "About three.", failed: "it broke" },
      { name: "four", about: "About four.", findings: { rows: [{ ...fat, figure: "idle" }] } },
    ],
    reasons: { memory: "The bundle alone takes 90." },
  });

  it("has the table of aims, with every row's verdict and the reason of what misses its aim", () => {
    expect(page).toContain(
      [
        "| figure | against | aim | measured | met | reason and next step |",
        "| --- | --- | --- | --- | --- | --- |",
        "| speed | a \\| b | ≥ 1 | 1.2 | yes |  |",
        "| memory |  | ≤ 150 MB | 160 MB | **no** | The bundle alone takes 90. |",
        "| bytes |  |  | 900 | no aim |  |",
        "| idle |  | ≤ 150 MB | 160 MB | **no** | not yet explained |",
      ].join("\n"),
    );
  });

  it("shows what each scenario has in addition to its rows, and why one has none", () => {
    expect(page).toContain("## one\n\nAbout one.\n\n| client | k/s |\n| --- | --- |\n| bare | 76 |");
    expect(page).toContain("## two\n\nAbout two. Skipped: no go");
    expect(page).toContain("## three\n\nAbout three. Failed: it broke");
    expect(page).not.toContain("## four");
  });
});

it("a row for the terminal says what was measured against what, and whether the aim was met", () => {
  expect(formatRow(fast)).toBe("  speed: 1.2 against a | b, aim ≥ 1 (met)");
  expect(formatRow(fat)).toBe("  memory: 160 MB, aim ≤ 150 MB (not met)");
  expect(formatRow(shown)).toBe("  bytes: 900");
});

describe("the statistics", () => {
  it("take the middle, in any order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([9, 1, 5, 7])).toBe(6);
    expect(median([])).toBeNaN();
  });

  it("compare pair by pair", () => {
    // The second pair was measured while the machine was four times as slow.
    expect(medianRatio([100, 20, 90], [200, 50, 200])).toBe(0.45);
    expect(() => medianRatio([1], [])).toThrow("1 and 0 make no pairs");
  });

  it("take the nearest rank", () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect(percentile(values, 0.5)).toBe(50);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 1)).toBe(100);
    expect(percentile([7], 0.01)).toBe(7);
  });
});
