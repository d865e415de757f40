// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Directories that anyone may have written: texts in place of numbers, bombs, files that are too large.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { MAX_FILE_BYTES, parseWithin } from "../src/reports/sources/yaml-file.ts";
import { makeDirectory, report, runPlugin, violation } from "./session.ts";

const PATH = "shop/policyviolationreports/p.yaml";

/** A directory with one report, its text changed. */
async function writeChanged(change: (text: string) => string): Promise<string> {
  const dir = join(makeDirectory(), "reports");
  await runPlugin(["export", "-A", "--out", dir], { reports: [report("p", [violation()])] });
  const { readFileSync } = await import("node:fs");
  mkdirSync(dirname(join(dir, PATH)), { recursive: true });
  writeFileSync(join(dir, PATH), change(readFileSync(join(dir, PATH), "utf8")));
  return dir;
}

const COMMANDS = [
  [],
  ["-o", "wide"],
  ["-o", "json"],
  ["-o", "yaml"],
  ["-o", "csv"],
  ["explain", "shop/p"],
  ["timeline"],
  ["readiness"],
  ["gate"],
  ["gate", "-o", "junit"],
  ["gate", "-o", "sarif"],
  ["audit"],
  ["audit", "--format", "markdown"],
];

describe("a report of another form", () => {
  test.each<[string, RegExp, string]>([
    ["a text for a number", /prevented: 3/, 'prevented: "\\e[2J<meta http-equiv=refresh>"'],
    ["a text for a severity", /severity: 5/, 'severity: "\\e[31mSEV<b>"'],
    ["a list for a text", /operation: Process/, "operation: [a]"],
    ["a negative number", /prevented: 3/, "prevented: -3"],
    ["a number beyond what is exact", /prevented: 3/, "prevented: 9007199254740993"],
    ["another word for a level", /severity: medium/, "severity: none"],
    ["another time", /lastSeen: \S+/, "lastSeen: yesterday"],
    ["another outcome", /outcome: Prevented/, "outcome: Fine"],
  ])("with %s is read by no command, and no byte of it reaches the terminal", async (_name, from, to) => {
    const dir = await writeChanged((text) => text.replace(from, to));
    for (const command of COMMANDS) {
      const { code, out, err } = await runPlugin([...command, "--from", dir]);
      expect({ command, code }).toEqual({ command, code: 3 });
      expect(out + err).toContain("is not a report");
      expect(out + err).not.toMatch(/[\u0000-\u0009\u000b-\u001f]|<meta|<b>/);
    }
  });

  test("that has several documents is not read in part", async () => {
    const dir = await writeChanged((text) => `${text}---\n${text}`);
    for (const command of COMMANDS) {
      const { code, out, err } = await runPlugin([...command, "--from", dir]);
      expect({ command, code }).toEqual({ command, code: 3 });
      expect(out + err).toContain("has several documents, and a file holds one report");
    }
  });

  test.each([["q.yml"], ["q.json"], ["Q.YAML"]])(
    "under the name %s is not taken for none, as it may hold a violation",
    async (name) => {
      const dir = await writeChanged((text) => text);
      writeFileSync(join(dir, dirname(PATH), name), "{}");
      const { code, out } = await runPlugin(["gate", "--from", dir]);
      expect(code).toBe(3);
      expect(out).toContain("may be a report, but only names in .yaml are read");
    },
  );

  test("that is too large is not even read", async () => {
    const dir = await writeChanged((text) => `${text}# ${"x".repeat(MAX_FILE_BYTES)}\n`);
    const { code, err } = await runPlugin(["--from", dir]);
    expect(code).toBe(3);
    expect(err).toContain("p.yaml is too large:");
  });
});

describe("parsing", () => {
  test("ends after its time, however much there is left to parse", () => {
    const anchors = Array.from({ length: 60_000 }, (_, n) => `a${n}: &a${n} [x]`).join("\n");
    expect(parseWithin(anchors, 50)).toEqual({ problem: "is not a report: reading it took more than 0.05 s" });
  });

  test.each([
    ["an alias", "a: &a [x]\nb: *a\n"],
    ["a bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"],
    ["a nest", "[".repeat(100_000)],
    ["no YAML", "a: [b"],
  ])("refuses %s", (_name, text) => {
    expect(parseWithin(text, 10_000)).toHaveProperty("problem");
  });

  test("takes what is harmless", () => {
    expect(parseWithin("a: '*x'\nb: |\n  &y\n", 10_000)).toEqual({ value: { a: "*x", b: "&y\n" } });
  });
});
