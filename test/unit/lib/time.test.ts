// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatMicroTime, hasMicroseconds, parseMicroTime, secondsToUs, TimeReader } from "../../../src/lib/time.ts";
import { checkAll } from "../../support/gen.ts";
import { parseList } from "../../support/text-table.ts";

describe("parseMicroTime", () => {
  it.each([
    ["2026-11-23T10:00:00.123456Z", 1_795_428_000_123_456],
    ["2026-11-23T10:00:00Z", 1_795_428_000_000_000],
    ["2026-11-23T10:00:00.1Z", 1_795_428_000_100_000],
    ["2026-11-23T10:00:00.123Z", 1_795_428_000_123_000],
    // Finer than a microsecond is cut, not rounded.
    ["2026-11-23T10:00:00.123456999Z", 1_795_428_000_123_456],
    // No zone is UTC, in any zone of the machine.
    ["2026-11-23T10:00:00.123456", 1_795_428_000_123_456],
    ["2026-11-23 10:00:00z", 1_795_428_000_000_000],
    ["2026-11-23t12:30:00+02:30", 1_795_428_000_000_000],
    ["2026-11-23T02:00:00-08:00", 1_795_428_000_000_000],
    ["1970-01-01T00:00:00.000001Z", 1],
    ["2024-02-29T00:00:00Z", 1_709_164_800_000_000],
    ["2016-12-31T23:59:60Z", 1_483_228_800_000_000],
  ])("reads %s", (text, us) => {
    expect(parseMicroTime(text)).toBe(us);
  });

  const others = parseList(`
    now | 1700000000 | 2026-11-23 | 2026-11-23T10:00Z | 2026-11-23T10:00:00.Z | 2026-11-23T10:00:00.1234567890Z
    2026-13-01T00:00:00Z | 2026-00-10T00:00:00Z | 2026-01-00T00:00:00Z | 2026-01-32T00:00:00Z | 2026-02-30T00:00:00Z
    2023-02-29T00:00:00Z | 2026-01-01T24:00:00Z | 2026-01-01T00:60:00Z | 2026-01-01T00:00:61Z
    2026-01-01T00:00:00+24:00 | 2026-01-01T00:00:00+00:60 | 0070-01-02T00:00:00Z | 0000-00-00T00:00:00Z
    0001-01-01T00:00:00Z | 1969-12-31T23:59:59Z | 1970-01-01T00:00:00Z | 9999-01-01T00:00:00Z | २०२६-११-२३T10:00:00Z
  `);

  it.each([...others, "", "2026-11-23T10:00:00Z\n", " 2026-11-23T10:00:00Z"])("takes %j for no time", (text) => {
    expect(parseMicroTime(text)).toBeUndefined();
  });
});

describe("hasMicroseconds", () => {
  it.each([
    ["2026-11-23T10:00:00.000000Z", true],
    ["2026-11-23T10:00:00.123456789+02:00", true],
    ["2026-11-23T10:00:00.12345Z", false],
    ["2026-11-23T10:00:00Z", false],
    ["2026-13-23T10:00:00.000000Z", false],
    ["1970-01-01T00:00:00.000000Z", false],
    ["", false],
  ])("of %j is %s, also for a reader of bytes", (text, expected) => {
    expect(hasMicroseconds(text)).toBe(expected);
    const reader = new TimeReader();
    const bytes = Buffer.from(text);
    for (let i = 0; i < 2; i++) {
      reader.read(bytes, 0, bytes.length);
      expect(reader.hasMicroseconds).toBe(expected);
    }
  });
});

describe("secondsToUs", () => {
  it.each([
    [1_686_475_183, 1_686_475_183_000_000],
    [1, 1_000_000],
    // A fraction that no microsecond has is cut.
    [1.000_000_7, 1_000_000],
    [0, undefined],
    [-5, undefined],
    [Number.NaN, undefined],
    [Number.POSITIVE_INFINITY, undefined],
    [9_007_199_255, undefined],
    [1e-9, undefined],
  ])("%d seconds are %s", (seconds, us) => {
    expect(secondsToUs(seconds)).toBe(us);
  });
});

describe("formatMicroTime", () => {
  it.each([
    [1, "1970-01-01T00:00:00.000001Z"],
    [1_795_428_000_000_000, "2026-11-23T10:00:00.000000Z"],
    [1_795_428_000_004_210, "2026-11-23T10:00:00.004210Z"],
    [Number.MAX_SAFE_INTEGER, "2255-06-05T23:47:34.740991Z"],
  ])("writes %d as %s", (us, text) => {
    expect(formatMicroTime(us)).toBe(text);
  });

  it("writes times of other days between as Date does", () => {
    checkAll(300, [fc.array(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))], (times) => {
      const written = times.map((us) => formatMicroTime(us - (us % 1000)));
      expect(written).toEqual(times.map((us) => `${new Date(Math.floor(us / 1000)).toISOString().slice(0, -1)}000Z`));
    });
  });

  it("is undone by parseMicroTime", () => {
    checkAll(1000, [fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })], (us) => {
      expect(parseMicroTime(formatMicroTime(us))).toBe(us);
    });
  });
});
