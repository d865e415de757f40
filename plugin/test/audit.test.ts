// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit's words and numbers; how the page looks in a browser is test/e2e/plugin-page.test.ts's.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codeSpan, markup, plain, shellWord } from "../src/render/escape.ts";
import { directory, plugin, report, violation } from "./session.ts";

const unforced = violation({
  id: "00000000000000ac",
  outcome: "Allowed",
  action: "Audit (Block)",
  occurrences: 7,
});
const accepted = violation({ id: "00000000000000ad", accepted: { by: "known" }, occurrences: 100 });

describe("the page", () => {
  test("has the totals without what is accepted, what was not enforced, gaps in words and the policy's origin", async () => {
    const reports = [
      report("p", [violation(), unforced, accepted], {
        policy: { provenance: { namespace: "shop", git: { revision: "main@sha1:abc" } } },
        coverage: { lowerBound: true, gaps: 2 },
      }),
    ];
    const { out } = await plugin(["audit", "-A"], { reports });
    const text = out
      .replace(/<style>[\s\S]*?<\/style>/, "")
      .replace(/<[^>]+>/g, " ")
      .replace(/\s+/g, " ");
    expect(text).toContain(
      "7 occurrences allowed 3 occurrences prevented 2 violations 1 accepted, not in the numbers 1 report",
    );
    expect(text).toContain("The numbers are lower bounds: alerts are known to have been missed");
    expect(text).toContain("The numbers are lower bounds: 2 times nobody read the stream.");
    expect(text).toContain("git.revision: main@sha1:abc");
    expect(text).toContain("accepted: known");
    expect(out.match(/<article /g)).toHaveLength(3);
    expect(out).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.w3\.org)/);
  });

  test("lists 50 of what should have been blocked before the charts, and says how many there are besides", async () => {
    const many = Array.from({ length: 1052 }, (_, n) =>
      violation({ ...unforced, id: n.toString(16).padStart(16, "0"), resource: `/usr/bin/tool-${n}` }),
    );
    const reports = [report("p", many)];
    const { out } = await plugin(["audit", "-A"], { reports });
    const [first = ""] = out.split('<h2 id="time">');
    expect(first.match(/<tr>/g)).toHaveLength(1 + 50);
    expect(first).toContain("<p>And 1,002 more violations, among all of them below.</p>");
    expect(out).toContain("<p>52 more violations of less weight are left out here");
    const markdown = (await plugin(["audit", "-A", "--format", "markdown"], { reports })).out;
    expect(markdown.split("## Violations")[0]).toContain("\n… and 1,002 more violations.\n");
  });

  test("is the same for the same reports at the same time, and goes to a file when asked", async () => {
    const file = join(directory(), "audit.html");
    const { out, err } = await plugin(["audit", "-A", "--out", file]);
    expect({ out, err }).toEqual({ out: "", err: `${file} written: 24 violations\n` });
    expect(readFileSync(file, "utf8")).toBe((await plugin(["audit", "-A"])).out);
  });

  test.each([
    ["2026-11-23T01:59:00.000000Z", "21:00"],
    ["2026-11-26T20:00:00.000000Z", "11-23 12:00"],
    ["2026-12-22T20:00:00.000000Z", "2026-11-29"],
    ["2026-11-22T20:05:00.000000Z", "20:01:00"],
  ])("its time axis up to %s has %s, on a clock of 24 hours", async (lastSeen, label) => {
    const one = violation({ firstSeen: "2026-11-22T20:00:00.000000Z", lastSeen });
    const { out } = await plugin(["audit", "-A"], { reports: [report("p", [one])] });
    const labels = [...out.matchAll(/text-anchor="middle">([^<]+)</g)].map(([, text]) => text);
    expect(labels).toContain(label);
    expect(labels.join()).not.toMatch(/[AP]M|[a-z]/);
  });

  test("says what was left out, and which filters were set", async () => {
    const many = Array.from({ length: 1003 }, (_, n) => violation({ id: n.toString(16).padStart(16, "0") }));
    const { out } = await plugin(["audit", "-n", "shop", "--severity", "low"], {
      reports: [report("p", many)],
    });
    expect(out).toContain("3 more violations of less weight are left out here");
    expect(out).toContain("Namespace shop, only --severity low, as of 2026-11-23 10:00:00 UTC");
  });
});

describe("Markdown", () => {
  test("has every text of a report in a code span", async () => {
    const evil = "`|@team [x](javascript:1) <img src=x> #1";
    const reports = [report("p", [violation({ source: evil, resource: "/x" })], { policy: { name: evil } })];
    const { out } = await plugin(["audit", "-A", "--format", "markdown"], { reports });
    expect(out).toContain("| ``Process `\\|@team [x](javascript:1) <img src=x> #1 → /x`` |");
    expect(out.replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, "")).not.toMatch(/[@<[]/);
  });

  test("fits a comment", async () => {
    const many = Array.from({ length: 1000 }, (_, n) => violation({ id: n.toString(16).padStart(16, "0") }));
    const { out } = await plugin(["audit", "-A", "--format", "markdown"], { reports: [report("p", many)] });
    expect(out.length).toBeLessThan(61_000);
    const rows = out.match(/^\| `medium`/gm)?.length ?? 0;
    expect(out).toContain(`… and ${1000 - rows} more.`);
  });
});

describe("text from alerts", () => {
  const hostile = fc.string({ unit: "binary", maxLength: 60 });

  test("can't break out of markup, a code span, a line or a shell word", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        expect(markup(text)).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
        expect(plain(text)).not.toMatch(/\p{C}(?<!\ufffd)/u);
        expect(plain(text)).not.toContain("\n");
        const span = codeSpan(text);
        const [fence = ""] = /^`*/.exec(span) ?? [];
        if (span !== "")
          expect(span.slice(fence.length, -fence.length).match(/`+/g)?.includes(fence) ?? false).toBe(false);
        expect(shellWord(text)).toMatch(/^(?:[\w./:@%+=,-]+|'[^']*'(?:\\''[^']*')*)$/);
      }),
    );
  });
});

test.each([
  [["--format", "pdf"], '--format "pdf" is none: it must be html or markdown'],
  [["--out", "/nowhere/at/all.html"], "cannot write /nowhere/at/all.html"],
])("%j", async (flags, message) => {
  const { code, err } = await plugin(["audit", "-A", ...flags]);
  expect(code).toBe(2);
  expect(err).toContain(message);
});
