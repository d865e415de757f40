// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_TEXT_BYTES, sanitize } from "../../../src/lib/sanitize.ts";
import { generateHostileText } from "../../support/alert-generators.ts";
import { checkAll } from "../../support/gen.ts";

const BAD = "\ufffd";

describe("sanitize", () => {
  it.each([
    ["plain", "/usr/bin/apt update", "/usr/bin/apt update"],
    ["nothing", "", ""],
    ["white space around it", "  a b \t", "a b"],
    ["white space that ends in a control", "\x85a\x85", "a"],
    ["letters of the world", "grüße 日本語 💥", "grüße 日本語 💥"],
    ["line breaks and tabs", "a\r\nb\tc\vd\fe", "a b c d e"],
    ["line breaks of Unicode", "a\u2028b\u2029c\x85d", "a b c d"],
    ["NUL", "a\0b", `a${BAD}b`],
    ["C0 controls", "\x01\x08\x0e\x1f", BAD.repeat(4)],
    ["DEL and C1 controls", "\x7f\x80\x84\x86\x9f", BAD.repeat(5)],
    ["a terminal escape", "\x1b[2Jx\x1b]0;t\x07", `${BAD}[2Jx${BAD}]0;t${BAD}`],
    ["a terminal escape of one byte", "\x9b31mred", `${BAD}31mred`],
    ["bidi overrides", "a\u202eb\u202ac", `a${BAD}b${BAD}c`],
    ["bidi isolates and marks", "\u2066\u2069\u200e\u200f\u061c", BAD.repeat(5)],
    ["zero width", "a\u200b\u200c\u200d\u2060b\u00adc", `a${BAD.repeat(4)}b${BAD}c`],
    ["a byte order mark inside", "a\ufeffb", `a${BAD}b`],
    ["tags that print as nothing", "a\u{e0041}b", `a${BAD}b`],
    ["fillers that print as nothing", "\u115f\u1160\u3164\uffa0", BAD.repeat(4)],
    ["private and unassigned characters", "\ue000\u{10ffff}\u0378", BAD.repeat(3)],
    ["half a surrogate pair", "a\ud83db\udca5c", `a${BAD}b${BAD}c`],
    ["spaces that are not the common one", "a\u00a0b\u3000c\u2009d\u202fe\u1680f", "a b c d e f"],
    ["variation selectors", "a\ufe0f\ufe00\u{e0100}\u180b\u180fb", `a${BAD.repeat(5)}b`],
    ["joiners that print as nothing", "a\u034f\u17b4\u17b5\u{1d173}b", `a${BAD.repeat(4)}b`],
    ["a blank Braille pattern", "a\u2800b", `a${BAD}b`],
    ["blank hieroglyphs and a Khitan filler", "a\u{13441}\u{13442}\u{16fe4}b", `a${BAD.repeat(3)}b`],
    ["a musical null note head", "a\u{1d159}b", `a${BAD}b`],
    ["marks that enclose, and objects", "a\u20e3\ufff9\ufffcb", `a${BAD.repeat(3)}b`],
    ["letters and accents of the world", "e\u0301 \u05d0\u0627", "e\u0301 \u05d0\u0627"],
  ])("%s", (_name, text, safe) => {
    expect(sanitize(text)).toBe(safe);
  });

  it.each([
    ["512 bytes of ASCII stay", "a".repeat(512), "a".repeat(512)],
    ["513 bytes are cut to 512", "a".repeat(513), `${"a".repeat(509)}…`],
    // 2 bytes each: 254 of them and the ellipsis are 511.
    ["two bytes a character", "é".repeat(300), `${"é".repeat(254)}…`],
    ["three bytes a character", "日".repeat(300), `${"日".repeat(169)}…`],
    ["four bytes a character", "💥".repeat(300), `${"💥".repeat(127)}…`],
    ["a character is never split", `${"a".repeat(508)}💥💥`, `${"a".repeat(508)}…`],
    ["512 bytes of two-byte characters stay", "é".repeat(256), "é".repeat(256)],
    ["what is replaced counts as what replaces it", "\0".repeat(300), `${BAD.repeat(169)}…`],
    ["megabytes", "x".repeat(5_000_000), `${"x".repeat(509)}…`],
    ["megabytes of white space hide nothing", `${" ".repeat(100_000)}x`, "x"],
    ["a cut through a pair leaves no half", `${"é".repeat(511)}a💥`, `${"é".repeat(254)}…`],
  ])("%s", (_name, text, safe) => {
    expect(sanitize(text)).toBe(safe);
  });

  it("keeps another bound when asked to", () => {
    expect(sanitize("abcdefgh", 8)).toBe("abcdefgh");
    expect(sanitize("abcdefghi", 8)).toBe("abcde…");
  });

  it("always gives safe, bounded, well-formed text, and changes it no further", () => {
    checkAll(2000, [generateHostileText(), fc.constantFrom(64, 256, MAX_TEXT_BYTES, 1024)], (text, maxBytes) => {
      const safe = sanitize(text, maxBytes);
      expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(maxBytes);
      expect(safe).not.toMatch(/[\p{C}\p{Default_Ignorable_Code_Point}\u2028\u2029\u00a0\u2800]/u);
      expect(safe.isWellFormed()).toBe(true);
      expect(safe).toBe(safe.trim());
      expect(sanitize(safe, maxBytes)).toBe(safe);
    });
  });
});
