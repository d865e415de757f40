// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The export, on real directories: what is written, what is removed, and what is never touched.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { createDirectoryReports } from "../src/reports/sources/directory-reports.ts";
import { makeDirectory, report, runPlugin, SAMPLE_REPORTS_DIR, violation } from "./session.ts";

const listFiles = (dir: string) => readdirSync(dir, { recursive: true, encoding: "utf8" }).sort();
const DIFF = (a: string, b: string) => execFileSync("diff", ["-r", a, b], { encoding: "utf8" });

describe("export --out", () => {
  test("writes what replay writes, and a second time nothing", async () => {
    const dir = join(makeDirectory(), "audit");
    expect(await runPlugin(["export", "-A", "--out", dir])).toEqual({
      code: 0,
      out: `${dir}: 23 new, 0 changed, 0 gone, 0 unchanged.\n`,
      err: "",
    });
    expect(DIFF(SAMPLE_REPORTS_DIR, dir)).toBe("");
    expect((await runPlugin(["export", "-A", "--out", dir])).out).toBe(
      `${dir}: 0 new, 0 changed, 0 gone, 23 unchanged.\n`,
    );
  });

  test("leaves out what only the store and the writer need, with keys in any order", async () => {
    const one = report("p", [violation()]);
    one.metadata = {
      name: "p",
      namespace: "shop",
      uid: "u",
      resourceVersion: "7",
      creationTimestamp: "2026-11-23T10:00:00Z",
      generation: 3,
      managedFields: [{ manager: "x" }],
      labels: { b: "2", a: "1" },
      annotations: { "reports.kubearmor.com/written-by": "x/7", z: "1", team: "web" },
    };
    const other = structuredClone(one);
    other.metadata = {
      annotations: { team: "web", z: "1", "reports.kubearmor.com/written-by": "y/9" },
      labels: { a: "1", b: "2" },
      resourceVersion: "9",
      namespace: "shop",
      name: "p",
    };
    const dir = makeDirectory();
    await runPlugin(["export", "-A", "--out", dir], { reports: [one] });
    expect((await runPlugin(["export", "-A", "--check", dir], { reports: [other] })).code).toBe(0);
    expect(readFileSync(join(dir, "shop/policyviolationreports/p.yaml"), "utf8")).toMatch(
      /^apiVersion: .*\nkind: .*\nmetadata:\n {2}name: p\n {2}namespace: shop\n {2}labels:\n {4}a: "1"\n {4}b: "2"\n {2}annotations:\n {4}team: web\n {4}z: "1"\npolicy:/,
    );
  });

  test("has the keys in one order, for any order of a store", async () => {
    const backwards = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(backwards);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([key, inner]) => [key, backwards(inner)]),
      );
    };
    const reports: Report[] = [];
    for await (const one of createDirectoryReports(SAMPLE_REPORTS_DIR).list({ namespace: undefined }, () => {})) {
      reports.push(backwards(one) as Report);
    }
    const dir = makeDirectory();
    await runPlugin(["export", "-A", "--out", dir], { reports });
    expect(DIFF(SAMPLE_REPORTS_DIR, dir)).toBe("");
  });

  test("removes files of reports that are gone, and their empty folders, in its scope alone", async () => {
    const dir = makeDirectory(true);
    const kept = report("p", [violation()]);
    expect((await runPlugin(["export", "-n", "default", "--out", dir], { reports: [kept] })).out).toBe(
      `${dir}: 0 new, 0 changed, 5 gone, 0 unchanged.\n`,
    );
    expect(existsSync(join(dir, "default"))).toBe(false);
    expect(existsSync(join(dir, "wordpress-mysql/policyviolationreports/default-posture.yaml"))).toBe(true);
    await runPlugin(["export", "-A", "--out", dir], { reports: [kept] });
    expect(listFiles(dir)).toEqual(["shop", "shop/policyviolationreports", "shop/policyviolationreports/p.yaml"]);
  });

  test("never touches what is not a report, and says that it was left", async () => {
    const dir = makeDirectory(true);
    const foreign = ["README.md", "notes/x.txt", "default/kustomization.yaml", "default/policyviolationreports/x.yaml"];
    for (const path of foreign) {
      mkdirSync(join(dir, path, ".."), { recursive: true });
      writeFileSync(join(dir, path), "mine");
    }
    mkdirSync(join(dir, ".git"));
    writeFileSync(join(dir, ".git/HEAD"), "mine");
    const { code, err } = await runPlugin(["export", "-A", "--out", dir], { reports: [] });
    expect(code).toBe(0);
    expect(err).toBe(
      "4 other files stay (README.md, default/kustomization.yaml, default/policyviolationreports/x.yaml, …).\n",
    );
    expect(listFiles(dir).filter((path) => path.includes("."))).toEqual([".git", ".git/HEAD", ...foreign].sort());
    expect(foreign.map((path) => readFileSync(join(dir, path), "utf8"))).toEqual(foreign.map(() => "mine"));
  });

  test("a report that is called like another file's path is not taken for it", async () => {
    const dir = makeDirectory(true);
    const path = join(dir, "default/policyviolationreports/x.yaml");
    writeFileSync(path, readFileSync(join(dir, "default/policyviolationreports/ksp-vault-network.yaml")));
    await runPlugin(["export", "-A", "--out", dir], { reports: [] });
    expect(existsSync(path)).toBe(true);
  });
});

describe("export --summary", () => {
  test("leaves out what changes every minute", async () => {
    const dir = makeDirectory();
    const before = report("p", [violation(), violation({ id: "00000000000000ab" })]);
    const after = report("p", [
      violation({ id: "00000000000000ab", occurrences: 900, lastSeen: "2026-11-23T09:59:59.000000Z" }),
      violation({ occurrences: 4, pods: [{ name: "web-1", occurrences: 4, lastSeen: "2026-11-23T09:59:00.000000Z" }] }),
    ]);
    await runPlugin(["export", "-A", "--summary", "--out", dir], { reports: [before] });
    expect((await runPlugin(["export", "-A", "--summary", "--check", dir], { reports: [after] })).code).toBe(0);
    const third = report("p", [...after.violations, violation({ id: "00000000000000ac" })]);
    const { code, out } = await runPlugin(["export", "-A", "--summary", "--check", dir], { reports: [third] });
    expect(code).toBe(1);
    expect(out.split("\n").filter((line) => /^[+-] /.test(line)).length).toBeLessThanOrEqual(12);
    expect(out).toContain("+- id: 00000000000000ac");
  });

  test("has a decision as a diff of a few lines, and not what happens under it", async () => {
    const dir = makeDirectory();
    const shares = (accepted: number, open: object) => ({
      accepted: { violations: 1, occurrences: accepted },
      open: { prevented: 0, allowed: 0, unknown: 0, ...open },
    });
    const withSummary = (one: Report, more: object): Report => ({ ...one, summary: { ...one.summary, ...more } });
    const open = withSummary(report("p", [violation()]), {
      open: { occurrences: 3, prevented: 3, allowed: 0, unknown: 0, violations: 1, severity: "medium" },
    });
    const none = { occurrences: 0, violations: 0, severity: "none" };
    const mark = { accepted: { by: "vendor-apt" } };
    const accepted = withSummary(report("p", [violation(mark)]), shares(3, none));
    const later = withSummary(report("p", [violation({ ...mark, occurrences: 9 })]), shares(9, none));
    await runPlugin(["export", "-A", "--summary", "--out", dir], { reports: [open] });
    const { out } = await runPlugin(["export", "-A", "--summary", "--check", dir], { reports: [accepted] });
    expect(out.split("\n").filter((line) => /^[+-] /.test(line))).toEqual([
      "-  open:",
      "+  accepted:",
      "-    severity: medium",
      "+  open:",
      "+    violations: 0",
      "+    severity: none",
      "+  accepted:",
      "+    by: vendor-apt",
    ]);
    await runPlugin(["export", "-A", "--summary", "--out", dir], { reports: [accepted] });
    expect((await runPlugin(["export", "-A", "--summary", "--check", dir], { reports: [later] })).code).toBe(0);
  });

  test("is not a source of counts", async () => {
    const dir = makeDirectory();
    await runPlugin(["export", "-A", "--summary", "--out", dir]);
    const { code, err } = await runPlugin(["--from", dir]);
    expect(code).toBe(2);
    expect(err).toContain("was exported with --summary, which leaves out counts and times; name a full export");
  });
});

describe("export --check", () => {
  test("shows a readable diff of a few lines for one new occurrence, and writes nothing", async () => {
    const dir = makeDirectory(true);
    const path = "my-ext-secret/policyviolationreports/nginx-secret.yaml";
    const text = readFileSync(join(dir, path), "utf8");
    writeFileSync(join(dir, path), text.replaceAll("occurrences: 1", "occurrences: 2"));
    const was = listFiles(dir);
    const { code, out, err } = await runPlugin(["export", "-A", "--check", dir]);
    expect(code).toBe(1);
    expect(err).toBe(`${dir} is not up to date: 0 new, 1 changed, 0 gone, 22 unchanged; \`export --out\` writes it.\n`);
    expect(out.split("\n").slice(0, 2)).toEqual([`--- a/${path}`, `+++ b/${path}`]);
    expect(out.split("\n").filter((line) => /^[+-] /.test(line))).toEqual([
      "-  occurrences: 2",
      "+  occurrences: 1",
      "-    occurrences: 2",
      "+    occurrences: 1",
      "-  occurrences: 2",
      "+  occurrences: 1",
      "-    occurrences: 2",
      "+    occurrences: 1",
    ]);
    expect(listFiles(dir)).toEqual(was);
  });

  test("shows new and gone files", async () => {
    const dir = makeDirectory();
    await runPlugin(["export", "-A", "--out", dir], { reports: [report("a", [violation()])] });
    const { out } = await runPlugin(["export", "-A", "--check", dir], { reports: [report("b", [violation()])] });
    expect(out).toMatch(/^--- a\/shop\/policyviolationreports\/a.yaml\n\+\+\+ \/dev\/null$/m);
    expect(out).toMatch(/^--- \/dev\/null\n\+\+\+ b\/shop\/policyviolationreports\/b.yaml$/m);
  });
});

describe("a directory that can't be used", () => {
  test("holds other files: refused before anything is written", async () => {
    const dir = makeDirectory();
    mkdirSync(join(dir, "src"));
    writeFileSync(join(dir, "src/main.c"), "");
    const { code, err } = await runPlugin(["export", "-A", "--out", dir]);
    expect(code).toBe(2);
    expect(err).toContain(`${dir} holds other files (src/main.c) and no reports: name a directory of its own`);
    expect(listFiles(dir)).toEqual(["src", "src/main.c"]);
  });

  test("is a file", async () => {
    const path = join(makeDirectory(), "file");
    writeFileSync(path, "");
    const { code, err } = await runPlugin(["export", "-A", "--out", path]);
    expect({ code, err }).toEqual({ code: 2, err: `error: cannot use ${path}: it is a file; name a directory.\n` });
  });

  test.skipIf(process.platform !== "linux")("takes no folder, and says that it is not there", async () => {
    const { code, err } = await runPlugin(["export", "-A", "--out", "/proc/reports"]);
    expect(code).toBe(2);
    expect(err).toMatch(/^error: cannot use \/proc\/reports\/\S+: /);
  });

  test.skipIf(process.getuid?.() === 0)("may not be read", async () => {
    const dir = makeDirectory(true);
    chmodSync(join(dir, "default"), 0);
    const { code, err } = await runPlugin(["export", "-A", "--out", dir]);
    chmodSync(join(dir, "default"), 0o755);
    expect({ code, err }).toEqual({
      code: 2,
      err: `error: cannot use ${join(dir, "default")}: no permission; check its owner and mode.\n`,
    });
  });

  test.each(["default", "default/policyviolationreports"])("leads elsewhere by a link at %s", async (path) => {
    const dir = makeDirectory();
    const elsewhere = makeDirectory();
    await runPlugin(["export", "-n", "wordpress-mysql", "--out", dir]);
    mkdirSync(join(dir, path, ".."), { recursive: true });
    symlinkSync(elsewhere, join(dir, path));
    const { code, err } = await runPlugin(["export", "-A", "--out", dir]);
    expect(code).toBe(2);
    expect(err).toContain("is a symbolic link, which is not followed: replace it with a directory");
    expect(listFiles(elsewhere)).toEqual([]);
  });

  test.each([
    [["export"], "name a directory: --out DIR writes, --check DIR compares; exactly one of the two."],
    [["export", "--out", "a", "--check", "a"], "name a directory"],
    [
      ["export", "-n", "empty", "--check", "/no where"],
      "does not exist: write it with `kubectl violations export --out '/no where'`",
    ],
    [["export", "--out", ""], "the directory is an empty text"],
    [["export", "--from", "a", "--out", "a"], "--from and --out are the same directory"],
  ])("%j", async (argv, message) => {
    const { code, err } = await runPlugin(argv);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });
});
