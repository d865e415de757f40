// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Share of secrets that reach a report, and of ordinary lines that are changed: measured, not promised.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";

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
function readForms(file: string): [line: string, secret: string][] {
  return readRows(file).map((row) => JSON.parse(row) as [string, string]);
}

const FORMS: [name: string, forms: [line: string, secret: string][], atMost: number][] = [
  ["the first list", readForms("secrets-common.jsonl"), 0],
  ["the list from manuals", readForms("secrets-manuals.jsonl"), 1],
  ["the list of 295 programs", readForms("secrets-programs.jsonl"), 6],
  ["the list of variants", readForms("secrets-variants.jsonl"), 7],
  ["the list of services", readForms("secrets-services.jsonl"), 0],
  ["the second list of services", readForms("secrets-services-2.jsonl"), 1],
  ["the third list of services", readForms("secrets-services-3.jsonl"), 2],
  ["the fourth list of services", readForms("secrets-services-4.jsonl"), 6],
];

/** Secrets in the lines of a list, or parts of them, of which none may be left. */
const TYPED = ["hunter2SECRET9", "a1B2a1B2", "abcdEFGH", "abcd1234", "XXXXXXXXXXXX", "ABCDEFGHIJKLMNOP"].concat([
  "QPZRY9X8QP",
  "0f0f0f0f",
  "0f1e2d3c0f",
]);
const RARE = ["S3cr3tV4lue99", "aB3dE6gH9jK2mN5p", "0a1b2c0a1b2c", "ABCDEFGH2345"];
/** A secret that is a word, and one that looks random. */
const WORDS = ["sunshine", "S3cr3tV4lue99"];

const LINES: [name: string, lines: string[], secrets: string[], atMost: number][] = [
  ["the list of forms as people type them", readLines("secrets-typed.jsonl"), TYPED, 0],
  ["the list of rarer tools", readLines("secrets-rare.jsonl"), RARE, 1],
  ["the words of common tools", readLines("words-common.jsonl"), WORDS, 0],
  ["the words of databases and rarer tools", readLines("words-rare.jsonl"), WORDS, 0],
  ["the words written before they were tried", readLines("words-untried.jsonl"), WORDS, 3],
  ["the words of 230 programs", readLines("words-tools.jsonl"), WORDS, 0],
];

/** Forms of which the secret is left; the bounds are what was measured. */
describe("of the forms of secrets", () => {
  it.each(FORMS)("in %s few are left", (_name, forms, atMost) => {
    const left = forms.filter(([line, secret]) => redact(line).includes(secret));
    expect(left.length, left.map(([line]) => line).join("\n")).toBeLessThanOrEqual(atMost);
  });

  it.each(LINES)("in %s few are left", (_name, lines, secrets, atMost) => {
    const left = lines.filter((line) => secrets.some((part) => redact(line).includes(part)));
    expect(left.length, left.join("\n")).toBeLessThanOrEqual(atMost);
  });

  it("none changes when it is redacted again", () => {
    const lines = [...FORMS.flatMap(([, forms]) => forms.map(([line]) => line)), ...LINES.flatMap(([, of]) => of)];
    expect(lines.filter((line) => redact(redact(line)) !== redact(line))).toEqual([]);
  });
});

describe("of ordinary lines", () => {
  it.each([
    ["the first list", readRows("ordinary-1.txt")],
    ["the list from manuals", readRows("ordinary-2.txt")],
    ["the list of rarer tools", readRows("ordinary-3.txt")],
    ["the list of options like those of secrets", readRows("ordinary-4.txt")],
    ["the list written before the rules were read", readRows("ordinary-5.txt")],
    ["the list of everyday programs", readRows("ordinary-6.txt")],
    ["the list of container command lines", readRows("ordinary-7.txt")],
    ["the list of lines near to secrets", readRows("ordinary-8.txt")],
    ["the list of lines near to scripts with secrets", readRows("ordinary-9.txt")],
    ["the list of names, versions and hashes near to secrets", readRows("ordinary-10.txt")],
    ["the list of lines like those that people type", readRows("ordinary-typed.txt")],
  ])("in %s none is changed", (_what, lines) => {
    const changed = lines.filter((line) => redact(line) !== line);
    expect(changed.map((line) => redact(line))).toEqual([]);
  });
});
