// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What depends on time: the timeline, `top` and `--watch`, on a clock that moves only when told.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { FakeClock } from "../../test/support/fake-clock.ts";
import { timelineOf, totalOf } from "../src/reports/occurrences-over-time.ts";
import type { ReportSource } from "../src/reports/report-source.ts";
import { violationsOf } from "../src/reports/report-view.ts";
import { memoryReports, plugin, report, violation } from "./session.ts";

const time = (ms: number) => `${new Date(ms).toISOString().slice(0, -1)}000Z`;

describe("the timeline", () => {
  test("places what is certain and counts what is not", async () => {
    const reports = [
      report("p", [
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
      ]),
    ];
    const { code, out } = await plugin(["timeline", "-A", "--buckets", "4"], { reports });
    expect(code).toBe(0);
    expect(out.split("\n").map((line) => line.replace(/[█░ ]+/g, " "))).toEqual([
      "2026-11-23 00:00:00 UTC 5 prevented, 1 new",
      "2026-11-23 01:00:00 UTC 1 allowed, 1 new",
      "2026-11-23 02:00:00 UTC",
      "2026-11-23 03:00:00 UTC 1 allowed",
      "",
      "The numbers are at least: of 8 more occurrences the reports tell only that they lie between the",
      "first and the last time of their violation. A line without a bar need not have been quiet.",
      "",
    ]);
  });

  test("loses and invents nothing: what is placed and what is not make up all, where all is in the window", () => {
    const moment = fc.integer({ min: 1_000_000, max: 2_000_000 });
    const one = fc.record({ a: moment, b: moment, occurrences: fc.integer({ min: 1, max: 1000 }) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), fc.integer({ min: 1, max: 50 }), (all, parts) => {
        const violations = all.map(({ a, b, occurrences }, i): Violation => {
          const [first, last] = a <= b ? [a, b] : [b, a];
          // A single occurrence has one time.
          const firstSeen = time(occurrences === 1 ? last : first);
          return violation({ id: String(i), firstSeen, lastSeen: time(last), occurrences });
        });
        const { buckets, unplaced } = timelineOf(
          violationsOf([report("p", violations)]),
          1_000_000,
          2_000_000,
          parts,
        );
        const placed = buckets.reduce((sum, bucket) => sum + totalOf(bucket), 0);
        expect(placed + unplaced).toBe(all.reduce((sum, { occurrences }) => sum + occurrences, 0));
        expect(buckets.reduce((sum, { fresh }) => sum + fresh, 0)).toBe(all.length);
      }),
    );
  });

  test.each([
    [["--buckets", "0"], '--buckets "0" must be a whole number from 1 to 500'],
    [["--window", "x"], '--window "x" is no duration'],
  ])("%j", async (flags, message) => {
    const { code, err } = await plugin(["timeline", "-A", ...flags]);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});

/** Gives other reports at each look, and moves the clock on once a look is over. */
function moving(looks: readonly Report[][], clock: FakeClock): ReportSource {
  let look = 0;
  return {
    ...memoryReports([]),
    async *list(scope) {
      const reports = looks[Math.min(look, looks.length - 1)] ?? [];
      look += 1;
      setImmediate(() => void clock.advance(10_000));
      yield* memoryReports(reports).list(scope);
    },
  };
}

const withCount = (occurrences: number) => report("p", [violation({ occurrences })]);

test("top --once tells what moved between two looks", async () => {
  const clock = new FakeClock();
  const { code, out } = await plugin(["top", "-A", "--once", "--interval", "10s"], {
    reports: moving([[withCount(3)], [withCount(13)]], clock),
    clock,
  });
  expect(code).toBe(0);
  expect(out).toMatch(/10 occurrences of 1 violation in 10 s/);
  expect(out.split("\n")[3]).toMatch(/^\+10 +60\.0 +shop +medium/);
});

test("top --once leaves the screen as it is", async () => {
  const clock = new FakeClock();
  const { out, err } = await plugin(["top", "-A", "--once", "--interval", "10s"], {
    reports: moving([[withCount(3)], [withCount(13)]], clock),
    clock,
    isInteractive: true,
  });
  expect(err).toBe("looking again in 10s\n");
  expect(out).not.toContain("\u001b");
});

test("top counts a report that was deleted and began again from its new start", async () => {
  const clock = new FakeClock();
  const { out } = await plugin(["top", "-A", "--once"], {
    reports: moving([[withCount(100)], [withCount(2)]], clock),
    clock,
  });
  expect(out).toContain("2 occurrences of 1 violation ");
});

test("--watch prints the table, then only what moves, until told to stop", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const fresh = violation({ id: "00000000000000bb" });
  const looks = [[withCount(3)], [withCount(3)], [report("p", [violation(), fresh])]];
  const { code, out } = await plugin(["-A", "-w"], {
    reports: moving(looks, clock),
    clock,
    signal: stop.signal,
    onOut: (text) => {
      if (text.includes("bb")) stop.abort();
    },
  });
  expect(code).toBe(0);
  expect(
    out
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/\s+/).at(-1)),
  ).toEqual(["ID", "00000000000000aa", "00000000000000bb"]);
});

test.each([
  [["top", "-A", "--interval", "0s"], '--interval "0s" must be a duration of 1s or more'],
  [["-A", "-w", "-o", "json"], "-w shows a table: it can't go with -o json"],
])("%j", async (argv, message) => {
  const { code, err } = await plugin(argv);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
