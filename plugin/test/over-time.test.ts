// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The timeline and `--watch`, on a clock that only a test moves.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { checkAll } from "../../test/support/gen.ts";
import { parseFilter, select } from "../src/reports/filter.ts";
import { buildTimeline, sumCounts } from "../src/reports/occurrences-over-time.ts";
import { listViolations } from "../src/reports/report-view.ts";
import type { ReportSource } from "../src/reports/sources/report-source.ts";
import { createMemoryReports, report, runPlugin, violation } from "./session.ts";

const formatTime = (ms: number) => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

describe("the timeline", () => {
  test("places what is certain and counts what is not", async () => {
    const reports = [
      report(
        "p",
        [
          violation({
            firstSeen: "2026-11-23T00:00:00.000000Z",
            lastSeen: "2026-11-23T00:10:00.000000Z",
            occurrences: 5,
          }),
          violation({
            id: "00000000000000ab",
            outcome: "Allowed",
            firstSeen: "2026-11-23T01:00:00.000000Z",
            lastSeen: "2026-11-23T04:00:00.000000Z",
            occurrences: 10,
          }),
        ],
        { coverage: { continuousSince: "2026-11-01T00:00:00.000000Z" } },
      ),
    ];
    const { code, out } = await runPlugin(["timeline", "-A", "--buckets", "4"], { reports });
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => line.replace(/[█░ ]+/g, " "))).toEqual([
      "2026-11-23 00:00:00 UTC 5 prevented",
      "2026-11-23 01:00:00 UTC 1 allowed",
      "2026-11-23 02:00:00 UTC",
      "2026-11-23 03:00:00 UTC 1 allowed",
      "",
      " allowed ▒ unknown prevented",
      "The numbers are lower bounds: the times of 8 more occurrences are unknown, between the first and the",
      "last time of their violation. A part without a bar need not have been quiet.",
      "",
    ]);
  });

  test("loses and invents nothing: what is placed and what is not make up all, where all is in the window", () => {
    const moment = fc.integer({ min: 1_000_000, max: 2_000_000 });
    const one = fc.record({ a: moment, b: moment, occurrences: fc.integer({ min: 1, max: 1000 }) });
    checkAll(100, [fc.array(one, { maxLength: 20 }), fc.integer({ min: 1, max: 50 })], (all, parts) => {
      const violations = all.map(({ a, b, occurrences }, i): Violation => {
        const [first, last] = a <= b ? [a, b] : [b, a];
        // A single occurrence has one time.
        const firstSeen = formatTime(occurrences === 1 ? last : first);
        return violation({ id: String(i), firstSeen, lastSeen: formatTime(last), occurrences });
      });
      const reports = [report("p", violations)];
      const filter = parseFilter({}, 0);
      const selection = select(reports, listViolations(reports), filter);
      const form = { parts, fromMs: 1_000_000, toMs: 2_000_000 };
      const { buckets = [], notes = [] } = buildTimeline(reports, selection, filter, form) ?? {};
      const placed = buckets.reduce((sum, bucket) => sum + sumCounts(bucket), 0);
      const unplaced = Number(/the times of ([\d,]+) more/.exec(notes.join())?.[1]?.replaceAll(",", "") ?? 0);
      expect(placed + unplaced).toBe(all.reduce((sum, { occurrences }) => sum + occurrences, 0));
    });
  });

  test.each([
    [["--buckets", "0"], 'invalid value "0" for --buckets: expected a whole number from 1 to 500'],
    [["--window", "x"], 'invalid value "x" for --window: expected a duration'],
  ])("%j", async (flags, message) => {
    const { code, err } = await runPlugin(["timeline", "-A", ...flags]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

describe("the timeline from history", () => {
  const history = {
    hourly: [
      { start: "2026-11-23T07:00:00Z", allowed: 2 },
      { start: "2026-11-23T09:00:00Z", prevented: 3, unknown: 1 },
    ],
    daily: [
      { start: "2026-11-20T00:00:00Z", prevented: 40 },
      { start: "2026-11-23T00:00:00Z", prevented: 3, allowed: 2, unknown: 1 },
    ],
  };
  // The list has one violation of many: nothing may be drawn from it.
  const full = report("p", [violation()], {
    summary: { occurrences: 46, prevented: 43, allowed: 2, unknown: 1, violations: 9, history },
    omitted: { violations: 8, occurrences: 43 },
  });
  const numbers = (out: string) =>
    out.split("\n").flatMap((line) => {
      const [, at, text] = /^(\S+ \S+) UTC[ █▒░]+(\d.*)$/.exec(line) ?? [];
      return text === undefined ? [] : [`${at} ${text}`];
    });

  test("has every occurrence, by day", async () => {
    const { out } = await runPlugin(["timeline", "-A"], { reports: [full] });
    expect(numbers(out)).toEqual([
      "2026-11-20 00:00:00 40 prevented",
      "2026-11-23 00:00:00 2 allowed, 1 unknown, 3 prevented",
    ]);
    expect(out).toContain("Accepted violations are included.");
    expect(out).not.toContain("lower bounds");
  });

  test("by hour where the window allows it, with an outcome, and says what lies outside", async () => {
    const { out } = await runPlugin(["timeline", "-A", "--window", "4h", "--outcome", "prevented"], {
      reports: [full],
    });
    expect(numbers(out)).toEqual(["2026-11-23 09:00:00 3 prevented"]);
    expect(out).toContain("40 occurrences lie outside of this time.");
  });

  test("states that it holds 31 days where more are wanted", async () => {
    const runForOutput = async (window: string) =>
      (await runPlugin(["timeline", "-A", "--window", window], { reports: [full] })).out.replace(/\n/g, " ");
    expect(await runForOutput("90d")).toContain(
      "Reports hold a history of 31 days: the time before 2026-10-24 00:00:00 UTC is not shown.",
    );
    expect(await runForOutput("20d")).not.toContain("31 days");
  });

  test("is not used for a filter on violations: the list is cut, and that is said", async () => {
    const { out } = await runPlugin(["timeline", "-A", "--workload", "web", "--buckets", "2"], { reports: [full] });
    expect(out.replace(/\n/g, " ")).toContain("The list of 1 report is cut (shop/p)");
    const none = await runPlugin(["timeline", "-A", "--workload", "other"], { reports: [full] });
    expect(none.err).toMatch(
      /^No listed violation matches in any namespace\.\nThe list of 1 report is cut \(shop\/p\): .* only in the totals, and may match\.\n$/,
    );
  });

  test("is a lower bound where it may miss something", async () => {
    const less = { ...full, summary: { ...full.summary, history: { ...history, lowerBound: true } } };
    const { out } = await runPlugin(["timeline", "-A"], { reports: [less] });
    expect(out).toContain("The numbers are lower bounds.");
  });
});

/** Gives other reports at each look, and moves the clock on once a look is over. */
function createMovingSource(looks: readonly Report[][], clock: FakeClock): ReportSource {
  let look = 0;
  return {
    ...createMemoryReports([]),
    async *list(scope, onLeftOut) {
      const reports = looks[Math.min(look, looks.length - 1)] ?? [];
      look += 1;
      setImmediate(() => void clock.advance(10_000));
      yield* createMemoryReports(reports).list(scope, onLeftOut);
    },
  };
}

const withCount = (occurrences: number) => report("p", [violation({ occurrences })]);

test("--watch prints the table, then only what moves, until the signal", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const fresh = violation({ id: "00000000000000bb", resource: "fresh" });
  const looks = [[withCount(3)], [withCount(3)], [report("p", [violation(), fresh])]];
  const { code, out } = await runPlugin(["-A", "-w"], {
    reports: createMovingSource(looks, clock),
    clock,
    signal: stop.signal,
    onOut: (text) => {
      if (text.includes("fresh")) stop.abort();
    },
  });
  expect(code).toBe(0);
  expect(
    out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s{2,}/).at(-1)),
  ).toEqual(["VIOLATION", "Process /usr/bin/apt by /bin/sh", "Process fresh by /bin/sh"]);
});

test.each([[["-A", "-w", "-o", "json"], "-w shows a table, and can't go with -o json."]])(
  "%j",
  async (argv, message) => {
    const { code, err } = await runPlugin(argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
  },
);

test("what a filter's bars leave out is said", async () => {
  const reports = [
    report("p", [
      violation({ firstSeen: "2026-11-20T10:00:00.000000Z", lastSeen: "2026-11-20T10:00:00.000000Z", occurrences: 2 }),
      violation({ id: "00000000000000ab", accepted: { by: "known" } }),
      violation({ id: "00000000000000ac", firstSeen: "2026-11-23T09:59:00.000000Z", occurrences: 1 }),
    ]),
  ];
  const { out } = await runPlugin(["timeline", "-n", "shop", "--workload", "web", "--window", "1d"], { reports });
  expect(out.replace(/\s+/g, " ")).toContain(
    "2 occurrences lie outside of this time. 1 accepted violation is not shown.",
  );
  expect(out).not.toContain("Every");
});
