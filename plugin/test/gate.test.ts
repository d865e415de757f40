// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Violation } from "../../src/api/v1alpha1.ts";
import type { Heartbeat } from "../src/reports/heartbeat.ts";
import { createMemoryReports, makeDirectory, type PluginOptions, report, runPlugin, violation } from "./session.ts";

const LATE = "2026-11-23T09:59:59.000000Z";
const RECENT = "2026-11-23T09:00:00.000000Z";
const id = (n: number) => n.toString(16).padStart(16, "0");

/** An open violation that the gate's defaults fail on. */
const fresh = (mods: Partial<Violation> = {}) =>
  violation({ outcome: "Allowed", action: "Audit", firstSeen: RECENT, ...mods });

const runGate = (flags: readonly string[], options: PluginOptions) => runPlugin(["gate", ...flags], options);
const getExitCode = async (flags: readonly string[], options: PluginOptions) => (await runGate(flags, options)).code;

describe("the gate", () => {
  test("fails on what was allowed and is new, and says what it looked at", async () => {
    const { code, out, err } = await runGate(["-n", "shop"], { reports: [report("p", [fresh()])] });
    expect({ code, err }).toEqual({ code: 1, err: "" });
    expect(out).toBe(
      [
        "FAILED: 1 open violation.",
        "Looked at 1 report in namespace shop: outcome allowed or unknown, first seen since 2026-11-22 10:00:00 UTC.",
        "",
        "SEVERITY  OUTCOME  COUNT  SEEN  WORKLOAD    POLICY  VIOLATION",
        "medium    Allowed      3  60s   deploy/web  p       Process /usr/bin/apt by /bin/sh",
        "",
      ].join("\n"),
    );
  });

  test("passes when nothing is open", async () => {
    expect(await runGate(["-n", "shop"], { reports: [] })).toEqual({
      code: 0,
      out:
        "PASSED: no open violation among those looked at.\n" +
        "Looked at 0 reports in namespace shop: outcome allowed or unknown, first seen since 2026-11-22 10:00:00 UTC.\n",
      err: "",
    });
  });

  test.each<[string, Partial<Violation>, string[], number]>([
    ["what was prevented", { outcome: "Prevented" }, [], 0],
    ["what was prevented, when asked", { outcome: "Prevented" }, ["--outcome", "any"], 1],
    ["an unknown outcome", { outcome: "Unknown" }, [], 1],
    ["what is old", { firstSeen: "2026-11-01T00:00:00.000000Z" }, [], 0],
    ["what is old, with --all", { firstSeen: "2026-11-01T00:00:00.000000Z" }, ["--all"], 1],
    ["what was prevented, with --all", { outcome: "Prevented" }, ["--all"], 1],
    ["what is old, with --since", { firstSeen: "2026-11-01T00:00:00.000000Z" }, ["--since", "1h"], 1],
    ["another severity", { severity: 1 }, ["--severity", "medium"], 0],
    ["a severity of its own", { severity: 9 }, ["--severity", "critical"], 1],
    ["no severity", { severity: 0 }, ["--severity", "unknown"], 1],
    ["no severity", { severity: 0 }, ["--severity", "low"], 0],
  ])("%s: %j with %j ends with %i", async (_name, mods, flags, code) => {
    const policy = { severity: 9 };
    const reports = [report("p", [fresh(mods)], { severity: "critical", policy })];
    expect(await getExitCode(["-n", "shop", ...flags], { reports })).toBe(code);
  });

  test("takes a violation without a severity for unknown, also where the others of its policy are harmless", async () => {
    const reports = [report("p", [fresh({ severity: 0 })], { severity: "info", policy: { severity: 1 } })];
    expect(await getExitCode(["-n", "shop", "--severity", "unknown"], { reports })).toBe(1);
    expect((await runPlugin(["list", "-n", "shop"], { reports })).out).toContain("unknown");
  });

  test("judges a severity by the operator's thresholds", async () => {
    const severityThresholds = { low: 1, medium: 2, high: 3, critical: 5 };
    const mods = { severity: "critical" as const, policy: { severity: 9 } };
    const reports = [report("p", [fresh({ severity: 5 })], { ...mods, summary: { severityThresholds } })];
    expect(await getExitCode(["-n", "shop", "--severity", "critical"], { reports })).toBe(1);
    const usual = [report("p", [fresh({ severity: 5 })], mods)];
    expect(await getExitCode(["-n", "shop", "--severity", "critical"], { reports: usual })).toBe(0);
  });

  test("passes over what is accepted, and says how many", async () => {
    const reports = [report("p", [fresh({ accepted: { by: "known" } })])];
    const { code, out } = await runGate(["-n", "shop"], { reports });
    expect(code).toBe(0);
    expect(out).toContain("Passed over: 1 accepted.\n");
  });

  test("passes over what a directory has, be it a summary, and fails on what is new", async () => {
    const open = { occurrences: 3, prevented: 0, allowed: 3, unknown: 0, violations: 1, severity: "medium" };
    const summary = { open, accepted: { violations: 1, occurrences: 2 } };
    const old = report("p", [fresh({ firstSeen: "2026-10-01T00:00:00.000000Z" })], { summary });
    const dir = join(makeDirectory(), "state");
    for (const form of [[], ["--summary"]]) {
      await runPlugin(["export", "-A", "--out", dir, ...form], { reports: [old] });
      const same = await runGate(["-A", "--baseline", dir], { reports: [old] });
      expect(same.code).toBe(0);
      expect(same.out).toContain(`Passed over: 1 known from ${dir}.`);
      expect(same.out).toContain(`of any age, not in ${dir}.`);
      const more = report("p", [fresh(), fresh({ id: id(0xbb), firstSeen: "2026-10-01T00:00:00.000000Z" })]);
      const { code, out } = await runGate(["-A", "--baseline", dir, "-o", "json"], { reports: [more] });
      expect(code).toBe(1);
      expect(JSON.parse(out).violations.map((one: { id: string }) => one.id)).toEqual([id(0xbb)]);
    }
  });

  test("the same violation under another report is new", async () => {
    const dir = join(makeDirectory(), "state");
    await runPlugin(["export", "-A", "--out", dir], { reports: [report("p", [fresh()])] });
    expect(await getExitCode(["-A", "--baseline", dir], { reports: [report("q", [fresh()])] })).toBe(1);
  });

  test("takes flags before the command, as kubectl does", async () => {
    const reports = [report("p", [fresh()])];
    expect((await runPlugin(["-n", "shop", "gate"], { reports })).code).toBe(1);
    expect((await runPlugin(["-A", "gate"], { reports })).code).toBe(1);
    expect((await runPlugin(["gate", "-n=shop"], { reports })).code).toBe(1);
    expect((await runPlugin(["gate", "-n=other"], { reports })).code).toBe(0);
  });
});

describe("a list that is cut", () => {
  const known = Array.from({ length: 300 }, (_, n) => fresh({ id: id(n), accepted: { by: "team" }, lastSeen: LATE }));
  const createSummary = (open: number) => ({
    occurrences: 900 + open,
    allowed: 900 + open,
    violations: 300 + open,
    open: { occurrences: open, prevented: 0, allowed: open, unknown: 0, violations: open, severity: "medium" },
  });

  test("fails when it certainly leaves out an open violation", async () => {
    const one = report("p", known, { summary: createSummary(1), omitted: { violations: 1, occurrences: 1 } });
    for (const form of ["text", "json", "junit", "sarif"]) {
      const { code, out } = await runGate(["-n", "shop", "--all", "-o", form], { reports: [one] });
      expect(code).toBe(1);
      if (form === "text")
        expect(out).toContain(
          "FAILED: at least 1 violation that shop/p can't list and that is not known to be accepted.",
        );
      if (form === "json") expect(JSON.parse(out)).toMatchObject({ passed: false, decision: "FAILED" });
      if (form === "junit") expect(out).toContain("<failure");
      if (form === "sarif") expect(JSON.parse(out).runs[0].results[0].ruleId).toBe("shop/p");
    }
  });

  test("passes where all that it leaves out is accepted", async () => {
    const summary = { ...createSummary(0), allowed: 1200, accepted: { violations: 400, occurrences: 1200 } };
    const all = report("p", known, { summary, omitted: { violations: 100, occurrences: 300 } });
    expect(await runGate(["-n", "shop", "--all"], { reports: [all] })).toMatchObject({ code: 0 });
    const list = await runPlugin(["list", "-n", "shop"], { reports: [all] });
    expect(list.err).not.toContain("cut");
    expect((await runPlugin(["list", "-n", "shop", "--accepted"], { reports: [all] })).err).toContain("cut");
  });

  test("fails behind 300 known ones of a baseline", async () => {
    const open = known.map(({ accepted: _, ...one }) => one);
    const dir = join(makeDirectory(), "state");
    await runPlugin(["export", "-A", "--out", dir], { reports: [report("p", open)] });
    const cut = report("p", open, { summary: createSummary(1), omitted: { violations: 1, occurrences: 1 } });
    const { code, out } = await runGate(["-n", "shop", "--baseline", dir], { reports: [cut] });
    expect(code).toBe(1);
    expect(out).toContain("FAILED: at least 1 violation that shop/p can't list and that is not known to be accepted.");
    // Omitted violations may be those of the baseline.
    const fewer = report("p", open.slice(1), { summary: createSummary(0), omitted: { violations: 1, occurrences: 3 } });
    expect(await getExitCode(["-n", "shop", "--baseline", dir], { reports: [fewer] })).toBe(3);
  });

  test.each([
    ["by default", []],
    ["with a severity", ["--all", "--severity", "medium"]],
    ["with a workload", ["--all", "--workload", "web"]],
  ])("is unknown %s", async (_name, flags) => {
    const cut = report("p", known, { summary: createSummary(1), omitted: { violations: 1, occurrences: 1 } });
    for (const form of ["text", "json", "junit", "sarif"]) {
      const { code, out } = await runGate(["-n", "shop", ...flags, "-o", form], { reports: [cut] });
      expect(code).toBe(3);
      expect(out).not.toContain("PASSED");
      if (form === "json") expect(JSON.parse(out)).toMatchObject({ passed: false, decision: "UNKNOWN" });
      if (form === "junit") expect(out).toContain("<error");
      if (form === "sarif") expect(JSON.parse(out).runs[0].invocations[0].executionSuccessful).toBe(false);
    }
  });

  test("passes where what it leaves out can't match", async () => {
    const cut = report("p", known, {
      summary: { ...createSummary(0), prevented: 5, occurrences: 905 },
      omitted: { violations: 5, occurrences: 5 },
    });
    expect(await getExitCode(["-n", "shop"], { reports: [cut] })).toBe(0);
    expect(
      await getExitCode(["-n", "shop", "--since", "2026-11-23T09:59:59.5Z", "--outcome", "any"], { reports: [cut] }),
    ).toBe(0);
  });

  test("passes where the history shows that nothing was allowed in the time looked at", async () => {
    const old = known.map((one) => ({ ...one, lastSeen: "2026-11-20T11:00:00.000000Z", firstSeen: RECENT }));
    const history = (start: string) => ({
      history: { hourly: [{ start, allowed: 1 }], daily: [{ start: "2026-11-20T00:00:00Z", allowed: 901 }] },
    });
    const cut = (start: string) =>
      report("p", [...old, violation()], {
        summary: { ...createSummary(1), ...history(start) },
        omitted: { violations: 1, occurrences: 1 },
      });
    expect(await getExitCode(["-n", "shop", "--since", "4h"], { reports: [cut("2026-11-23T03:00:00Z")] })).toBe(0);
    expect(await getExitCode(["-n", "shop", "--since", "4h"], { reports: [cut("2026-11-23T08:00:00Z")] })).toBe(3);
  });
});

test("a gap that has not ended makes the answer unknown", async () => {
  const recent = [{ kind: "StreamDown", from: "2026-11-23T09:00:00.000000Z" }];
  const coverage = { gaps: 1, lowerBound: true, recent };
  const reports = [report("p", [fresh({ outcome: "Prevented" })], { coverage })];
  const { code, out } = await runGate(["-n", "shop"], { reports });
  expect(code).toBe(3);
  expect(out).toContain(
    "UNKNOWN: alerts are missing now: From 2026-11-23 09:00:00 UTC the alert stream was down; when the report was written, that had not ended.",
  );
  const ended = { ...coverage, recent: [{ ...recent[0], to: "2026-11-23T09:01:00.000000Z" }] };
  const over = [report("p", [fresh({ outcome: "Prevented" })], { coverage: ended })];
  expect(await getExitCode(["-n", "shop"], { reports: over })).toBe(0);
});

describe("the operator", () => {
  const silent: Heartbeat = { state: "silent", lease: "kubearmor/x", forMs: 600_000 };
  const unknown: Heartbeat = { state: "unknown", why: "you may not get its Lease" };

  test.each([
    [silent, "the operator has not renewed its Lease kubearmor/x for 10m: it is not running"],
    [unknown, "it is unknown if the operator is running: you may not get its Lease"],
  ])("%j never passes", async (heartbeat, message) => {
    for (const form of ["text", "json", "junit", "sarif"]) {
      const { code, out, err } = await runGate(["-n", "shop", "-o", form], { reports: [], heartbeat });
      expect(code).toBe(3);
      expect(out + err).toContain(message);
      expect(out).not.toContain("PASSED");
    }
  });

  test("that is not running leaves a failure a failure, and is noted", async () => {
    const { code, err } = await runGate(["-n", "shop"], { reports: [report("p", [fresh()])], heartbeat: silent });
    expect(code).toBe(1);
    expect(err).toContain("note: the operator has not renewed its Lease");
  });

  test("a list that breaks off is unknown in every form", async () => {
    const source = createMemoryReports([report("p", [])]);
    const broken = {
      ...source,
      async *list() {
        yield* source.list({ namespace: undefined }, () => {});
        throw new (await import("../src/reports/problem.ts")).PluginError(3, "the connection broke.");
      },
    };
    for (const form of ["text", "json", "junit", "sarif"]) {
      const { code, out } = await runGate(["-A", "-o", form], { reports: broken });
      expect(code).toBe(3);
      expect(out).toMatch(/the connection broke/i);
    }
  });
});

describe("coverage that is required", () => {
  const gap = (to: string) => ({ lowerBound: true, gaps: 1, recent: [{ kind: "StreamDown", from: to, to }] });

  test.each([
    ["a report that is whole", {}, ["--all"], 0],
    ["a gap", gap(LATE), ["--all"], 3],
    ["a gap in the time looked at", gap(LATE), ["--since", "1h"], 3],
    ["a gap before it", gap("2026-11-20T10:00:00.000000Z"), ["--since", "1h"], 0],
    [
      "a gap that lasts",
      { lowerBound: true, gaps: 1, recent: [{ kind: "StreamDown", from: LATE }] },
      ["--since", "1s"],
      3,
    ],
    ["a gap of which no time is known", { lowerBound: true, gaps: 1 }, ["--since", "1h"], 3],
  ])("%s", async (_name, coverage, flags, code) => {
    const reports = [report("p", [fresh({ accepted: { by: "known" } })], { coverage })];
    const outcome = await runGate(["-n", "shop", "--require-coverage", ...flags], { reports });
    expect(outcome.code).toBe(code);
    if (code === 3)
      expect(outcome.out).toContain("alerts may have been missed in the time looked at: 1 report (shop/p)");
  });

  test.each([
    ["a cluster without any report", [], []],
    ["a policy without any report", ["--policy", "other"], [report("p", [violation()])]],
  ])("%s", async (_name, flags, reports) => {
    const none = await runGate(["-A", "--require-coverage", ...flags], { reports });
    expect(none.code).toBe(3);
    expect(none.out).toContain("there is no report, so nothing shows that alerts arrive");
  });
});

describe("directories", () => {
  const write = (dir: string, path: string, text: string) => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  };

  test.each([
    ["texts in place of numbers", (text: string) => text.replace("occurrences: 3", 'occurrences: "3"')],
    ["no YAML", () => "a: [b\n"],
    ["half a file", (text: string) => text.slice(0, text.length / 2)],
    ["an unknown outcome", (text: string) => text.replace("outcome: Allowed", "outcome: Fine")],
    ["an alias", (text: string) => `${text}x: &a 1\ny: *a\n`],
  ])("a report with %s is unknown, for --from and --baseline", async (_name, change) => {
    const dir = join(makeDirectory(), "state");
    const reports = [report("p", [fresh({ firstSeen: "2026-10-01T00:00:00.000000Z" })])];
    await runPlugin(["export", "-A", "--out", dir], { reports });
    expect((await runGate(["--from", dir], {})).code).toBe(0);
    const file = join(dir, "shop/policyviolationreports/p.yaml");
    const { readFileSync } = await import("node:fs");
    writeFileSync(file, change(readFileSync(file, "utf8")));
    for (const flags of [
      ["--from", dir],
      ["-A", "--baseline", dir],
    ]) {
      const { code, out } = await runGate(flags, { reports: [] });
      expect(code).toBe(3);
      expect(out).toContain("shop/policyviolationreports/p.yaml is not");
    }
  });

  test("a link in the place of a report or a namespace is unknown", async () => {
    const [dir, other] = [makeDirectory(), makeDirectory(true)];
    cpSync(join(other, "default"), join(dir, "default"), { recursive: true });
    expect((await runGate(["--from", dir], {})).code).toBe(0);
    symlinkSync(join(other, "multiubuntu"), join(dir, "multiubuntu"));
    const { code, out } = await runGate(["--from", dir], {});
    expect(code).toBe(3);
    expect(out).toContain("multiubuntu is a symbolic link, which is not followed");
  });

  test("a baseline that holds other things is a wrong call", async () => {
    const dir = makeDirectory();
    write(dir, "src/a.c", "");
    const { code, err } = await runGate(["-A", "--baseline", dir], { reports: [] });
    expect(code).toBe(2);
    expect(err).toContain(`--baseline ${dir} holds no reports (but src/a.c): write it with`);
  });

  test.each([
    [["--baseline", "/nowhere"], "--baseline /nowhere is empty or does not exist: write it with"],
    [["-o", "html"], 'invalid value "html" for -o: expected one of text, json, junit, sarif.'],
    [["--severity", "awful"], 'invalid value "awful" for --severity'],
    [["--wait", "soon"], 'invalid value "soon" for --wait: expected a duration'],
  ])("%j is a wrong call", async (flags, message) => {
    const { code, err } = await runGate(["-A", ...flags], { reports: [] });
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
