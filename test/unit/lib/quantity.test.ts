// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Durations and sizes as text, in every place that takes a setting.

import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../src/config/config.ts";
import { formatProblems } from "../../../src/config/config-problem.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../../src/lib/quantity.ts";

test.each([
  ["250ms", 250],
  ["90s", 90_000],
  ["1.5h", 5_400_000],
  ["1h30m", 5_400_000],
  ["30d", 2_592_000_000],
  ["2w", 1_209_600_000],
  ["1.1s", 1100],
  ["0s", 0],
])("the duration %s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(["", "30", "d", "30 d", "-1s", "1m1h", "1s1s", "1e3s", "1.s", ".5s", "1y", "0.5ms", "30D", "9999999999999d"])(
  "%j is not a duration",
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

test.each([
  ["256Mi", 268_435_456],
  ["1.5Gi", 1_610_612_736],
  ["128k", 128_000],
  ["1G", 1_000_000_000],
])("the size %s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["", "256", "Mi", "256 Mi", "256MB", "256mi", "-1Mi", "1Mi1Ki", "0.3Ki", "1K"])(
  "%j is not a size",
  (text) => {
    expect(parseSize(text)).toBeUndefined();
  },
);

test("values are written with the largest unit that divides them", () => {
  expect([0, 200, 90_000, 3_600_000, 2_592_000_000].map(formatDuration)).toEqual(["0ms", "200ms", "90s", "1h", "30d"]);
  expect([0, 1500, 2048, 268_435_456].map(formatSize)).toEqual(["0", "1500", "2Ki", "256Mi"]);
});

describe("a configuration", () => {
  const parse = (fileText: string, env: Record<string, string> = {}) =>
    parseConfig({ fileText, env, filePath: "pvo.yaml", place: { identity: "x" } });

  test("takes them in the file and in the environment, besides numbers", () => {
    const result = parse("reports: {retentionMs: 30d, maxBytes: 128Ki, minIntervalMs: 7000}", {
      PVO_MEMORY_LIMIT_BYTES: "64Mi",
      PVO_SHUTDOWN_GRACE_MS: "15s",
      PVO_EVENTS_MIN_GAP_MS: "2000",
    });
    if ("problems" in result) throw new Error(formatProblems(result.problems));
    const { reports, memory, shutdown, events } = result.config;
    expect(reports).toMatchObject({ retentionMs: 2_592_000_000, maxBytes: 131_072, minIntervalMs: 7000 });
    expect([memory.limitBytes, shutdown.graceMs, events.minGapMs]).toEqual([67_108_864, 15_000, 2000]);
  });

  test("refuses those out of bounds and of a wrong unit, as they were given", () => {
    const result = parse("reports: {minIntervalMs: 2h, maxBytes: 30s}\nevents: {burst: 1k}", {
      PVO_JOURNAL_MAX_BYTES: "1KB",
    });
    expect("problems" in result && formatProblems(result.problems)).toBe(`The configuration has 4 problems:
  pvo.yaml:1: reports.minIntervalMs = "2h": must be a duration from 100ms to 1h, or a whole number of milliseconds
  pvo.yaml:1: reports.maxBytes = "30s": must be a size from 32Ki to 1Mi, or a whole number of bytes
  pvo.yaml:2: events.burst = "1k": must be a whole number of Events from 1 to 10000
  PVO_JOURNAL_MAX_BYTES: journal.maxBytes = "1KB": must be a size from 1Mi to 16Gi, or a whole number of bytes
`);
  });

  test("takes true and false for openReports.enabled, and for no other word", () => {
    const enabled = (text: string, env = {}) => {
      const result = parse(text, env);
      return "config" in result ? result.config.openReports.enabled : result.problems[0]?.message;
    };
    expect(enabled("openReports: {enabled: true}")).toBe("true");
    expect(enabled("openReports: {enabled: false}")).toBe("false");
    expect(enabled("", { PVO_OPEN_REPORTS_ENABLED: "false" })).toBe("false");
    expect(enabled("")).toBe("auto");
    expect(enabled("openReports: {enabled: yes please}")).toBe("must be one of auto, true, false");
    expect(enabled("log: {level: true}")).toBe("must be one of debug, info, warn, error");
  });
});
