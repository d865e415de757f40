// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Share of secrets that reach a report, and of ordinary lines that are changed: measured, not promised.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/ingest/redact.ts";

const redact = createRedactor();

function readRows(file: string): string[] {
  return readFileSync(join(import.meta.dirname, "corpus", file), "utf8")
    .trimEnd()
    .split("\n");
}

/** Lines as KubeArmor shows them: arguments joined by a space, quotes only within a script. */
function readLines(file: string): string[] {
  return readRows(file).map((row) => JSON.parse(row) as string);
}

/** Lines with their secret. */
const [FORMS_1, FORMS_2] = ["secrets-common.jsonl", "secrets-manuals.jsonl"].map((file) =>
  readRows(file).map((row) => JSON.parse(row) as [line: string, secret: string]),
) as [[string, string][], [string, string][]];
const SECRET_LINES = readLines("secrets-rare.jsonl");
/** Secrets in these lines, or parts of them. */
const SECRET_PARTS = ["S3cr3tV4lue99", "aB3dE6gH9jK2mN5p", "0a1b2c0a1b2c", "ABCDEFGH2345"];
const WORDS_1 = readLines("words-common.jsonl");
const WORDS_2 = readLines("words-rare.jsonl");
const WORDS_3 = readLines("words-untried.jsonl");
/** A secret that is a word, and one that looks random. */
const SECRET_WORDS = ["sunshine", "S3cr3tV4lue99"];

/** Forms of which the secret is left; the bounds are what was measured. */
describe("of the forms of secrets", () => {
  it.each([
    ["the first list", FORMS_1, 0],
    ["the list from manuals", FORMS_2, 3],
  ])("in %s few are left", (_what, forms, atMost) => {
    const left = forms.filter(([line, secret]) => redact(line).includes(secret));
    expect(left.length, left.map(([line]) => line).join("\n")).toBeLessThanOrEqual(atMost);
  });

  it("in the list of rarer tools few are left", () => {
    const left = SECRET_LINES.filter((line) => SECRET_PARTS.some((part) => redact(line).includes(part)));
    expect(left.length, left.join("\n")).toBeLessThanOrEqual(8);
  });

  it.each([
    ["of common tools", WORDS_1, 0],
    ["of databases and rarer tools", WORDS_2, 4],
    ["written before they were tried", WORDS_3, 5],
  ])("in the list with words for secrets, %s, few are left", (_what, lines, atMost) => {
    const left = lines.filter((line) => SECRET_WORDS.some((part) => redact(line).includes(part)));
    expect(left.length, left.join("\n")).toBeLessThanOrEqual(atMost);
  });

  it("none changes when it is redacted again", () => {
    const lines = [...FORMS_1, ...FORMS_2]
      .map(([line]) => line)
      .concat(SECRET_LINES, WORDS_1, WORDS_2, WORDS_3);
    const changed = lines.filter((line) => redact(redact(line)) !== redact(line));
    expect(changed).toEqual([]);
  });
});

describe("of ordinary lines", () => {
  it.each([
    ["the first list", readRows("ordinary-1.txt")],
    ["the list from manuals", readRows("ordinary-2.txt")],
    ["the list of rarer tools", readRows("ordinary-3.txt")],
    ["the list of options like those of secrets", readRows("ordinary-4.txt")],
  ])("in %s none is changed", (_what, lines) => {
    const changed = lines.filter((line) => redact(line) !== line);
    expect(changed.map((line) => redact(line))).toEqual([]);
  });
});
