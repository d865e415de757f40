// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_WILDCARD_SPAN, MAX_WORDS, parseGlob, type Work } from "../../../src/lib/glob.ts";
import { checkAll } from "../../support/gen.ts";

function matches(pattern: string, text: string): boolean {
  const glob = parseGlob(pattern);
  if ("problem" in glob) throw new Error(glob.problem);
  return glob.matches(text);
}

describe("a glob", () => {
  it.each([
    ["/usr/bin/apt", "/usr/bin/apt", true],
    ["/usr/bin/apt", "/usr/bin/apt-get", false],
    ["/usr/bin/apt*", "/usr/bin/apt-get", true],
    ["/usr/bin/*", "/usr/bin/", true],
    ["/usr/*", "/usr/bin/apt", false],
    ["/usr/**", "/usr/bin/apt", true],
    ["**/apt", "/usr/bin/apt", true],
    ["/**/apt", "/apt", false],
    ["/usr/**/apt", "/usr/bin/local/apt", true],
    ["/tmp/?.sh", "/tmp/a.sh", true],
    ["/tmp/?.sh", "/tmp/ab.sh", false],
    ["/tmp?a", "/tmp/a", false],
    ["/tmp/?", "/tmp/😀", true],
    ["*a*b", "xaxbxb", true],
    ["*a*b", "xaxbxc", false],
    ["**a*b**c", "/aab/b/xc", true],
    ["/tmp/*", "/tmp/*", true],
    ["/tmp/\\*", "/tmp/*", true],
    ["/tmp/\\*", "/tmp/x", false],
    ["socket:\\[*\\]", "socket:[4711]", true],
    ["/etc/.*", "/etc/.shadow", true],
    ["*", ".hidden", true],
    ["a.c", "abc", false],
    ["**", "", true],
  ])("%s on %s: %s", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it.each([
    ["", "must not be empty"],
    ["/tmp/***", "three or more *"],
    ["/tmp/\\", "follows the \\ at the end"],
    ["/tmp/[ab]", "unsupported ["],
    ["/tmp/{a,b}", "unsupported {"],
    ["!(a)", "unsupported !"],
    [`*${"a".repeat(MAX_WILDCARD_SPAN - 1)}*`, "at most 64 characters, not 65"],
  ])("%s is invalid", (pattern, said) => {
    expect(parseGlob(pattern)).toEqual({ problem: expect.stringContaining(said) });
  });

  it("matches what a plain recursion over its meaning matches", () => {
    const plain = (pattern: string, text: string): boolean => {
      if (pattern === "") return text === "";
      if (pattern.startsWith("**")) {
        return plain(pattern.slice(2), text) || (text !== "" && plain(pattern, text.slice(1)));
      }
      const isSlash = text.startsWith("/");
      if (pattern.startsWith("*")) {
        return plain(pattern.slice(1), text) || (text !== "" && !isSlash && plain(pattern, text.slice(1)));
      }
      if (text === "") return false;
      const takes = pattern[0] === "?" ? !isSlash : pattern[0] === text[0];
      return takes && plain(pattern.slice(1), text.slice(1));
    };
    const part = fc.constantFrom("*", "**", "?", "a", "b", "/");
    const pattern = fc
      .array(part, { minLength: 1, maxLength: 7 })
      .map((parts) => parts.join(""))
      .filter((text) => !text.includes("***"));
    const text = fc.array(fc.constantFrom("a", "b", "/"), { maxLength: 8 }).map((chars) => chars.join(""));
    checkAll(3000, [pattern, text], (p, t) => matches(p, t) === plain(p, t));
  });

  it("matches literal text of any length around its wildcards", () => {
    const long = "/a".repeat(200);
    expect(matches(`${long}/*${long}`, `${long}/x${long}`)).toBe(true);
    expect(matches(`${long}*${long}`, long)).toBe(false);
    expect(matches(long, long)).toBe(true);
  });

  it("costs no more steps per character of the text than the bound, for patterns and texts made to be slow", () => {
    const spans = ["*a", "**a", "?*", "a", "*/", "**/*a", "?", "*?a"].map((unit) =>
      unit.repeat(Math.floor((MAX_WILDCARD_SPAN - 2) / [...unit.replaceAll("**", "*")].length)),
    );
    const countSteps = (pattern: string, text: string) => {
      const work: Work = { steps: 0 };
      const glob = parseGlob(pattern);
      if ("problem" in glob) throw new Error(glob.problem);
      glob.matches(text, work);
      return work.steps;
    };
    for (const span of spans) {
      for (const unit of ["a", "/a", "aa/", "b", "/"]) {
        for (const length of [512, 5120]) {
          const text = unit.repeat(length / unit.length);
          for (const pattern of [`?${span}?`, `a${span}?`, `?${span}b`, `/x?${span}a`]) {
            expect(countSteps(pattern, text), pattern).toBeLessThanOrEqual((text.length + 1) * (MAX_WORDS + 1));
          }
        }
      }
    }
  });
});
