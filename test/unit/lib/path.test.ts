// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { hasDotSegments, resolveDotSegments } from "../../../src/lib/path.ts";

describe("a path with . and .. in it", () => {
  it.each([
    ["/usr/../etc/shadow", "/etc/shadow"],
    ["/usr/bin/../../../etc/shadow", "/etc/shadow"],
    ["/usr/./bin//x/..", "/usr/bin"],
    ["/..", "/"],
    ["../../bin/sh", "../../bin/sh"],
    ["./a/../b", "b"],
    ["a/../../b", "../b"],
    ["/a b/../c d", "/c d"],
    ["family=AF_UNIX path=/run/../tmp/x.sock", "family=AF_UNIX path=/tmp/x.sock"],
  ])("%s is %s", (text, resolved) => {
    expect(resolveDotSegments(text)).toBe(resolved);
    expect(resolveDotSegments(resolved)).toBe(resolved);
  });

  it.each(["/etc/shadow", "/a//b", "/root/..data/x", "/x/...", "a . b", "", "..", "example.org", "/a.b/c."])(
    "%s stays as it is",
    (text) => {
      expect(resolveDotSegments(text)).toBe(text);
      expect(hasDotSegments(text)).toBe(false);
    },
  );
});
