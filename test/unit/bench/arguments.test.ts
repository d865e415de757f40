// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { parseBenchArguments } from "../../../bench/support/arguments.ts";

const parse = (...argv: string[]) => parseBenchArguments(argv, ["throughput", "memory"]);

describe("the benchmark's arguments", () => {
  it("write a page for a whole run only, unless a file is named", () => {
    expect(parse()).toEqual({ quick: false, only: [], out: "bench/RESULTS.md", date: undefined });
    expect(parse("--quick")).toEqual({ quick: true, only: [], out: undefined, date: undefined });
    expect(parse("--only", "memory").out).toBeUndefined();
    expect(parse("--quick", "--out", "x.md").out).toBe("x.md");
  });

  it("name scenarios and the day", () => {
    expect(parse("--only", "memory", "--only", "throughput", "--date", "2026-11-23")).toEqual({
      quick: false,
      only: ["memory", "throughput"],
      out: undefined,
      date: "2026-11-23",
    });
  });

  it("refuse a scenario that there is not, and flags that there are not", () => {
    expect(() => parse("--only", "speed")).toThrow("--only speed: no such scenario; there are throughput, memory");
    expect(() => parse("--fast")).toThrow(/--fast/);
    expect(() => parse("400000")).toThrow(/400000/);
  });
});
