// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The language rules that a machine can check: the field's terms, comments that state facts, functions named by verbs.

import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  BRITISH,
  DIALECT,
  getComments,
  isVerbFirst,
  listFunctionNames,
  measureComments,
  splitWords,
} from "./language.ts";
import { getCode, ROOT, sourceFiles } from "./source-code.ts";

const SRC = sourceFiles("src", "plugin/src", "headlamp/src");

/** Pages and manifests that users read. */
const FOR_USERS = [
  "*.md",
  "docs/**/*.md",
  "plugin/*.md",
  "headlamp/*.md",
  "crds/*.yaml",
  "charts/**/*.{yaml,md,tpl,txt,json}",
].flatMap((pattern) => globSync(pattern, { cwd: ROOT }));

describe("comments", () => {
  it("are found: a measure over nothing holds", () => {
    const text = "// SPDX-License-Identifier: x\n\n// One\n// two.\nconst a = 1; // not alone\n/** Three. */\n";
    expect(getComments({ path: "x", text })).toEqual(["Three.", "One two."]);
    expect(measureComments([{ path: "x", text: "// Whether it told of it.\n// \n\n// Fine.\n" }])).toEqual({
      comments: 2,
      dialectPer1000: (1 / 6) * 1000,
      questionShare: 0.5,
    });
    expect(measureComments(SRC).comments).toBeGreaterThan(1000);
  });

  it.each([
    ["src", SRC],
    ["tools", sourceFiles("tools")],
    ["bench", sourceFiles("bench")],
    ["test", sourceFiles("test", "plugin/test", "headlamp/test")],
  ])("in %s use the field's terms and American spelling, state facts and ask no questions", (_name, files) => {
    const { dialectPer1000, questionShare } = measureComments(files);
    expect(dialectPer1000).toBeLessThanOrEqual(1);
    expect(questionShare).toBeLessThanOrEqual(0.02);
    expect(files.flatMap(getComments).filter((comment) => comment.match(BRITISH) !== null)).toEqual([]);
  });
});

describe("texts for users", () => {
  it.each(FOR_USERS)("%s uses the field's terms and American spelling", (path) => {
    const lines = readFileSync(join(ROOT, path), "utf8").split("\n");
    expect(lines.filter((line) => line.match(DIALECT) !== null || line.match(BRITISH) !== null)).toEqual([]);
  });

  it("in the source use the field's terms", () => {
    const strings = SRC.flatMap(({ path, text }) =>
      [...text.matchAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)]
        .map(([literal]) => literal)
        .filter((literal) => / /.test(literal) && literal.match(DIALECT) !== null)
        .map((literal) => `${path}: ${literal.slice(0, 100)}`),
    );
    expect(strings).toEqual([]);
  });
});

describe("functions", () => {
  it("are found", () => {
    const text =
      "export function readIt(a: X): Y {\n}\nclass A {\n  async #load(x: Y): Promise<void> {\n  }\n  get size(): number {\n";
    expect(listFunctionNames({ path: "x", text })).toEqual(["readIt", "load"]);
    expect([isVerbFirst("readIt"), isVerbFirst("reader")]).toEqual([true, false]);
  });

  it.each([
    ["src", SRC, 0.75],
    ["tools", sourceFiles("tools"), 0.75],
    ["bench", sourceFiles("bench"), 0.75],
    ["test", sourceFiles("test", "plugin/test", "headlamp/test"), 0.75],
  ])("of %s begin with a verb", (_name, files, share) => {
    const names = files.flatMap(listFunctionNames);
    expect(names.length).toBeGreaterThan(100);
    expect(names.filter(isVerbFirst).length / names.length).toBeGreaterThanOrEqual(share);
  });
});

describe("names", () => {
  const FILES = sourceFiles("src", "plugin", "headlamp", "tools", "bench", "test").filter(
    ({ path }) => !path.startsWith("test/unit/language"),
  );

  /** `readFieldOf` says no more than `readField`, and `fieldOf` lacks its verb. */
  it("of functions never end with Of", () => {
    const names = FILES.flatMap((file) => listFunctionNames(file).map((name) => `${file.path}: ${name}`));
    expect(names.filter((name) => /[a-z]Of$/.test(name))).toEqual([]);
  });

  it("have no words of the dialect", () => {
    const names = FILES.flatMap(({ path, text }) => [
      ...new Set([...getCode(text).matchAll(/[A-Za-z]\w*/g)].map(([name]) => `${path}: ${name}`)),
    ]);
    expect(names.length).toBeGreaterThan(20_000);
    expect(names.filter((name) => splitWords(name.slice(name.indexOf(": "))).match(DIALECT) !== null)).toEqual([]);
  });
});

describe("titles of tests", () => {
  const TESTS = sourceFiles("test", "plugin/test").filter(({ path }) => path.endsWith(".test.ts"));
  const TITLE = /^\s*(?:it|test|describe)(?:\.\w+)?\((?:\s*)("(?:[^"\\\n]|\\.)*"|`[^`]*`)/gm;

  it("use the field's terms", () => {
    const titles = TESTS.flatMap(({ path, text }) =>
      [...text.matchAll(TITLE)].map(([, title = ""]) => `${path}: ${title}`),
    );
    expect(titles.length).toBeGreaterThan(1000);
    expect(titles.filter((title) => title.match(DIALECT) !== null)).toEqual([]);
  });
});
