// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readGlob } from "../../../src/lib/glob.ts";

function matches(pattern: string, text: string): boolean {
  const glob = readGlob(pattern);
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
    ["/tmp/\\", "the \\ at the end"],
    ["/tmp/[ab]", "[ is not known here"],
    ["/tmp/{a,b}", "{ is not known here"],
    ["!(a)", "! is not known here"],
  ])("%s is none", (pattern, said) => {
    expect(readGlob(pattern)).toEqual({ problem: expect.stringContaining(said) });
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
    fc.assert(
      fc.property(pattern, text, (p, t) => matches(p, t) === plain(p, t)),
      { numRuns: 3000 },
    );
  });

  it("does not run away on a pattern and a text that are made for it", () => {
    // A backtracking matcher does not come to an end here.
    expect(matches(`${"*a".repeat(200)}b`, "a".repeat(512))).toBe(false);
    expect(matches(`${"**a".repeat(150)}b`, "a".repeat(512))).toBe(false);
  });
});
