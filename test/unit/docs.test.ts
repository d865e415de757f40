// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Pages for users: each text is in one place only, links lead to something, and the README is short.

import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "./source-code.ts";

/** Written from the code by tools/docs.ts; the code says a thing once. */
const GENERATED = ["docs/configuration.md", "docs/metrics.md", "bench/RESULTS.md"];
const PAGES = ["*.md", "docs/*.md", "plugin/*.md", "headlamp/*.md", "bench/*.md"]
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .map((path) => ({ path, text: readFileSync(join(ROOT, path), "utf8") }));
/** A command and its flags may be on two pages; more words in a row are a copy. */
const WORDS = 16;

interface Page {
  path: string;
  text: string;
}

/** First words of each run of equal words on two pages. */
function findCopies(pages: readonly Page[], count: number): string[] {
  const pageByRun = new Map<string, string>();
  const copies = new Map<string, string>();
  for (const { path, text } of pages) {
    const words = text.toLowerCase().match(/[\p{L}\p{N}%-]+/gu) ?? [];
    for (let i = 0; i + count <= words.length; i++) {
      const run = words.slice(i, i + count).join(" ");
      const first = pageByRun.get(run) ?? path;
      if (first !== path) copies.set(`${first} and ${path}`, run);
      pageByRun.set(run, first);
    }
  }
  return [...copies].map(([paths, run]) => `${paths}: ${run}`);
}

/** The name that a page gives a heading in links. */
function toAnchor(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .trim()
    .replaceAll(" ", "-");
}

describe("pages", () => {
  it("say a thing in one place only", () => {
    expect(PAGES.length).toBeGreaterThan(15);
    expect(
      findCopies(
        PAGES.filter(({ path }) => !GENERATED.includes(path)),
        WORDS,
      ),
    ).toEqual([]);
    const pages = ["a b c d", "x a, B c"].map((text, i) => ({ path: `${i}.md`, text }));
    expect(findCopies(pages, 3)).toEqual(["0.md and 1.md: a b c"]);
  });

  it("link to files and headings that exist", () => {
    const links = PAGES.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g)]
        .map(([, to = "", anchor]) => ({
          path,
          to: to === "" ? path : join(dirname(path), to),
          anchor,
          isWeb: /^\w+:/.test(to),
        }))
        .filter(({ isWeb }) => !isWeb),
    );
    expect(links.length).toBeGreaterThan(50);
    const broken = links.filter(({ to, anchor }) => {
      if (!existsSync(join(ROOT, to))) return true;
      if (anchor === undefined) return false;
      const headings = readFileSync(join(ROOT, to), "utf8").matchAll(/^#+ (.*)$/gm);
      return ![...headings].some(([, heading = ""]) => toAnchor(heading) === anchor);
    });
    expect(broken.map(({ path, to, anchor }) => `${path}: ${to}${anchor === undefined ? "" : `#${anchor}`}`)).toEqual(
      [],
    );
  });

  it("begin with a README of at most 120 lines", () => {
    const lines = readFileSync(join(ROOT, "README.md"), "utf8").trimEnd().split("\n");
    expect(lines.length).toBeLessThanOrEqual(120);
  });
});
