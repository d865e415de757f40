// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The audit's words and numbers; how the page looks in a browser is test/e2e/plugin-page.test.ts's.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { checkAll } from "../../test/support/gen.ts";
import { el, renderMarkup } from "../src/render/markup.ts";
import type { Heartbeat } from "../src/reports/heartbeat.ts";
import { plain, toCodeSpan, toSarifText, toShellWord } from "../src/text/escape.ts";
import { makeDirectory, type PluginOptions, report, runPlugin, SAMPLE_REPORTS_DIR, violation } from "./session.ts";

const unforced = violation({ id: "00000000000000ac", outcome: "Allowed", action: "Audit (Block)", occurrences: 7 });
const accepted = violation({ id: "00000000000000ad", accepted: { by: "known" }, occurrences: 100 });

/** The page without markup, in one line. */
function stripMarkup(page: string): string {
  return page
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replace(/<[^>]+>/g, " ")
    .replace(/\s+/g, " ");
}

describe("the page", () => {
  test("names the cluster as the operator does, else as the alerts do", async () => {
    const latest = { time: "2026-11-23T09:00:00.000000Z", cluster: "from-alerts" };
    const one = report("one", [violation({ latest })]);
    const labels = { "reports.kubearmor.com/cluster": "east" };
    const named: Report = { ...one, metadata: { ...one.metadata, labels } };
    const readCluster = async (each: Report) =>
      /Cluster (\S+) Period/.exec(stripMarkup((await runPlugin(["audit", "-A"], { reports: [each] })).out))?.[1];
    expect([await readCluster(named), await readCluster(one)]).toEqual(["east", "from-alerts"]);
  });

  test("has totals without what is accepted, what was not enforced, gaps in words and the policy's object", async () => {
    const summary = {
      open: { occurrences: 10, prevented: 3, allowed: 7, unknown: 0, violations: 2, severity: "medium" },
      accepted: { violations: 1, occurrences: 100 },
    };
    const source = { tool: "ArgoCD", kind: "Application", name: "shop" };
    const object = { kind: "KubeArmorPolicy", namespace: "shop", uid: "u", generation: 2, source };
    const reports = [
      report("p", [violation(), unforced, accepted], {
        summary,
        policy: { provenance: "Found", objects: [object], tags: ["NIST", "MITRE_T1059", "team"] },
        coverage: { lowerBound: true, gaps: 2 },
      }),
    ];
    const acceptances = [
      {
        metadata: { name: "known", namespace: "shop" },
        spec: { match: { policy: "p" }, reason: "vendor", owner: "team-web", expires: "2026-12-01T10:00:00Z" },
      },
    ];
    const { out } = await runPlugin(["audit", "-A"], { reports, acceptances });
    const text = stripMarkup(out);
    expect(text).toContain(
      "≥ 7 occurrences allowed ≥ 0 occurrences of unknown outcome ≥ 3 occurrences prevented ≥ 2 open violations 1 accepted violation, not in these numbers 1 report",
    );
    expect(text).toContain("0 critical 0 high 2 medium 0 low 0 unknown 0 info");
    expect(text).toContain("1 violation of rules that say Block was allowed");
    expect(text).toContain("The numbers are lower bounds: 2 gaps in the alert stream.");
    expect(text).toContain("KubeArmorPolicy: shop, generation 2, managed by Argo CD (Application shop)");
    expect(text).toContain("MITRE ATT&amp;CK MITRE_T1059 1 2 1");
    expect(text).toContain("shop/known p Unknown vendor team-web in 8d 1");
    expect(text).toContain("accepted by known");
    expect(text).toContain("Period 2026-11-20 10:00:00 UTC to 2026-11-23 09:59:00 UTC Operator running");
    expect(text).toContain("Drops inside KubeArmor or its relay cannot be detected.");
    expect(out.match(/<article /g)).toHaveLength(3);
    expect(out).not.toMatch(/<script|<link|<img|https?:\/\/(?!www\.w3\.org)/);
  });

  test("bounds every list, and says how many more there are", async () => {
    const many = Array.from({ length: 1052 }, (_, n) =>
      violation({ ...unforced, id: n.toString(16).padStart(16, "0"), resource: `/usr/bin/tool-${n}` }),
    );
    const reports = [report("p", many)];
    const { out } = await runPlugin(["audit", "-A"], { reports });
    const [first = ""] = out.split('<h2 id="time">');
    expect(first.match(/<tr>/g)).toHaveLength(1 + 50);
    expect(first).toContain("1,002 more are left out here.");
    expect(out.match(/<article /g)).toHaveLength(500);
    expect(out).toContain("552 more are left out here; `kubectl violations export` has all that are listed.");
    const few = await runPlugin(["audit", "-A", "--limit", "3"], { reports });
    expect(few.out.match(/<article /g)).toHaveLength(3);
    // Every link leads to a place on the page.
    const links = [...few.out.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id);
    expect(links.filter((id) => !few.out.includes(`id="${id}"`))).toEqual([]);
    const markdown = (await runPlugin(["audit", "-A", "--format", "markdown"], { reports })).out;
    expect(markdown.split("## Violations")[0]).toContain("\n… and 1,002 more.\n");
  });

  describe("says of the rules that say Block", () => {
    const ENFORCED = "Every recorded occurrence against a rule that says Block was prevented.";
    const whole = { provenance: "Found" };
    const of = (one: Report, flags: string[] = [], options: PluginOptions = {}) =>
      Promise.all(
        [[], ["--format", "markdown"]].map(async (form) => {
          return stripMarkup((await runPlugin(["audit", "-A", ...flags, ...form], { reports: [one], ...options })).out);
        }),
      );

    test("that they were enforced only where that is known", async () => {
      for (const text of await of(report("p", [violation()], { policy: whole }))) expect(text).toContain(ENFORCED);
    });

    test.each<[string, Report, string[], PluginOptions]>([
      ["an accepted one was allowed", report("p", [{ ...unforced, accepted: { by: "x" } }], { policy: whole }), [], {}],
      [
        "one that a filter leaves out was allowed",
        report("p", [unforced], { policy: whole }),
        ["--outcome", "prevented"],
        {},
      ],
      [
        "the list is cut",
        report("p", [violation()], {
          policy: whole,
          summary: { allowed: 1 },
          omitted: { violations: 1, occurrences: 1 },
        }),
        [],
        {},
      ],
      [
        "the operator may be dead",
        report("p", [violation()], { policy: whole }),
        [],
        { heartbeat: { state: "unknown", why: "x" } },
      ],
      ["it is a replay", report("p", [violation()]), [], {}],
      ["alerts are missing", report("p", [violation()], { policy: whole, coverage: { lowerBound: true } }), [], {}],
      ["an outcome is unknown", report("p", [violation({ outcome: "Unknown" })], { policy: whole }), [], {}],
    ])("nothing of the kind when %s", async (_name, one, flags, options) => {
      for (const text of await of(one, flags, options)) expect(text).not.toContain(ENFORCED);
    });
  });

  test.each<[Heartbeat, string]>([
    [{ state: "silent", lease: "kubearmor/x", forMs: 600_000 }, "The operator has not renewed its Lease kubearmor/x"],
    [{ state: "unknown", why: "no right" }, "It is unknown if the operator is running: no right."],
  ])("has a red banner for an operator that is %j", async (heartbeat, text) => {
    const { out, err } = await runPlugin(["audit", "-A"], { reports: [], heartbeat });
    expect(out).toContain(`<p class="banner bad" role="alert">${text}`);
    expect(err).toContain(text);
    const { out: markdown } = await runPlugin(["audit", "-A", "--format", "markdown"], { reports: [], heartbeat });
    expect(markdown).toContain("**Warning:**");
  });

  test("says of a directory that it is a snapshot, and that the gaps of a replay are unknown", async () => {
    const { out } = await runPlugin(["audit", "--from", SAMPLE_REPORTS_DIR]);
    expect(out).toContain("This page was made from files");
    expect(out).toContain("23 reports were made from files of alerts: gaps in them are unknown.");
    expect(out).not.toContain("no gap.");
  });

  test("of a list that is cut never says that there is none, and has the totals of the summary", async () => {
    const cut = report("many", [violation({ outcome: "Allowed", occurrences: 300 })], {
      summary: { prevented: 7, occurrences: 307, violations: 8 },
      omitted: { violations: 7, occurrences: 7 },
    });
    for (const form of ["html", "markdown"]) {
      const { out } = await runPlugin(["audit", "-A", "--outcome", "prevented", "--format", form], { reports: [cut] });
      expect(stripMarkup(out)).toMatch(/ 7 occurrences prevented|^\S.* \| 7 \| ≥ 0 \|/);
      expect(stripMarkup(out)).not.toContain("≥ 7");
      expect(out).toContain("No listed violation matches.");
      expect(out).not.toContain("There is none");
      expect(out).toContain("The list of 1 report is cut");
    }
  });

  test("is the same for the same reports at the same time, and goes to a file when asked", async () => {
    const file = join(makeDirectory(), "audit.html");
    const { out, err } = await runPlugin(["audit", "-A", "--out", file]);
    expect({ out, err }).toEqual({ out: "", err: `${file} written: 25 listed violations.\n` });
    expect(readFileSync(file, "utf8")).toBe((await runPlugin(["audit", "-A"])).out);
  });

  test.each([
    ["2026-11-23T01:59:00.000000Z", "21:00"],
    ["2026-11-26T20:00:00.000000Z", "11-23 12:00"],
    ["2026-12-22T20:00:00.000000Z", "2026-11-29"],
    ["2026-11-22T20:05:00.000000Z", "20:01:00"],
  ])("its time axis up to %s has %s, on a clock of 24 hours", async (lastSeen, label) => {
    const one = violation({ firstSeen: "2026-11-22T20:00:00.000000Z", lastSeen });
    const { out } = await runPlugin(["audit", "-A"], { reports: [report("p", [one])] });
    const labels = [...out.matchAll(/text-anchor="middle">([^<]+)</g)].map(([, text]) => text);
    expect(labels).toContain(label);
    expect(labels.join()).not.toMatch(/[AP]M|[a-z]/);
  });

  test("says what was left out, and which filters were set", async () => {
    const many = Array.from({ length: 1003 }, (_, n) => violation({ id: n.toString(16).padStart(16, "0") }));
    const { out } = await runPlugin(["audit", "-n", "shop", "--severity", "low"], { reports: [report("p", many)] });
    expect(out).toContain("503 more are left out here");
    expect(out).toContain("Namespace shop, only --severity low, as of 2026-11-23 10:00:00 UTC.");
  });
});

describe("Markdown", () => {
  test("has every text of a report in a code span", async () => {
    const evil = "`|@team [x](javascript:1) <img src=x> #1";
    const reports = [report("p", [violation({ source: evil, resource: "/x" })], { policy: { name: evil } })];
    const { out } = await runPlugin(["audit", "-A", "--format", "markdown"], { reports });
    expect(out).toContain("| ``Process /x by `\\|@team [x](javascript:1) <img src=x> #1`` |");
    expect(out.replace(/(`+)(?!`)[\s\S]*?[^`]\1(?!`)/g, "")).not.toMatch(/[@<[]/);
  });

  test("fits a comment", async () => {
    const many = Array.from({ length: 1000 }, (_, n) => violation({ id: n.toString(16).padStart(16, "0") }));
    const { out } = await runPlugin(["audit", "-A", "--format", "markdown", "--limit", "0"], {
      reports: [report("p", many)],
    });
    expect(out.length).toBeLessThan(61_000);
    const rows = out.match(/^\| `medium`/gm)?.length ?? 0;
    expect(out).toContain(`… and ${1000 - rows} more.`);
  });
});

describe("text from alerts", () => {
  const hostile = fc.string({ unit: "binary", maxLength: 60 });

  test("can't break out of markup, a code span, a line or a shell word", () => {
    checkAll(100, [hostile], (text) => {
      const element = renderMarkup(el("p", { title: text }, text));
      expect(element.replace(/^<p(?: title="[^"<]*")?>|<\/p>$/g, "")).not.toMatch(/<|&(?!(?:amp|lt|gt|quot);)/);
      expect(plain(text)).not.toMatch(/\p{C}(?<!\ufffd)/u);
      expect(plain(text)).not.toContain("\n");
      const span = toCodeSpan(text);
      const [fence = ""] = /^`*/.exec(span) ?? [];
      if (span !== "")
        expect(span.slice(fence.length, -fence.length).match(/`+/g)?.includes(fence) ?? false).toBe(false);
      expect(toShellWord(text)).toMatch(/^(?:[\w./:@%+=,-]+|'[^']*'(?:\\''[^']*')*)$/);
    });
  });
});

test("Markdown says of a host's violation that it is a host's", async () => {
  const { out } = await runPlugin(["audit", "-A", "--format", "markdown"]);
  expect(out).toContain("| `medium` | `Allowed` | `(host)` | `Node/ubuntu` |");
  expect(out).not.toContain("|  |");
});

test.each([
  [["--format", "pdf"], 'invalid value "pdf" for --format: expected html or markdown.'],
  [["--out", "/nowhere/at/all.html"], "cannot write /nowhere/at/all.html"],
])("%j", async (flags, message) => {
  const { code, err } = await runPlugin(["audit", "-A", ...flags]);
  expect(code).toBe(2);
  expect(err).toContain(message);
});

test("a pipe in a table is escaped by an odd number of backslashes, after any text", () => {
  for (const text of ["|", "\\|", "\\\\|", "a\\\\\\|b|"]) {
    for (const [match] of toCodeSpan(text).matchAll(/\\*\|/g)) expect(match.length % 2).toBe(0);
  }
});

test("a message of SARIF has no link", () => {
  expect(toSarifText("see [x](http://evil) \\")).toBe("see \\[x\\](http://evil) \\\\");
});
