// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// A report that someone has changed by hand, among those of other namespaces: each command shows the others, names the
// one that it leaves out, and never ends with 0.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import type { ApiRequester } from "../../src/kube/client.ts";
import { EXIT } from "../src/reports/problem.ts";
import { createClusterReports } from "../src/reports/sources/cluster-reports.ts";
import type { ReportSource } from "../src/reports/sources/report-source.ts";
import { completions, createMemoryReports, makeDirectory, report, runPlugin, violation } from "./session.ts";

type Json = Record<string, unknown>;

/** Paths of a report with values that a cluster may hold: its schema has numbers of 64 bits. */
const CHANGES: readonly (readonly [path: string, value: unknown])[] = [
  ["summary.occurrences", 2 ** 53],
  ["summary.prevented", Number.MAX_VALUE],
  ["violations.0.occurrences", 2 ** 63],
  ["coverage.gaps", -1],
  ["summary.lastSeen", "2026-11-23T25:59:00Z"],
  ["violations.0.firstSeen", "yesterday"],
  ["summary.nodes", "many"],
  ["violations", null],
];

describe.each(CHANGES)("%s = %s", (path, value) => {
  test("hides no report of another namespace", async () => {
    const reports = createChangedSource(path, value);
    const left = /error: left out: the PolicyViolationReport "evil\/p" is not of the expected form/;
    const listed = await runPlugin(["list", "-A"], { reports });
    expect([listed.code, listed.err.match(left)?.length]).toEqual([EXIT.failed, 1]);
    expect(listed.out).toContain("shop");
    const json = JSON.parse((await runPlugin(["list", "-A", "-o", "json"], { reports })).out);
    expect([json.complete, json.totals.isAtLeast, json.violations.length]).toEqual([false, true, 1]);
    const gate = await runPlugin(["gate", "-A", "--outcome", "unknown"], { reports });
    expect([gate.code, gate.out]).toEqual([EXIT.failed, expect.stringContaining("1 report could not be read")]);
    const audit = await runPlugin(["audit", "-A", "--format", "markdown"], { reports });
    expect([audit.code, audit.out]).toEqual([
      EXIT.failed,
      expect.stringContaining("1 report could not be read and is not in this page"),
    ]);
    const explained = await runPlugin(["explain", "-A", "00000000000000aa"], { reports });
    expect([explained.code, explained.out]).toEqual([EXIT.failed, expect.stringContaining("shop/p")]);
    for (const command of ["timeline", "readiness"]) {
      const { code, out } = await runPlugin([command, "-A"], { reports });
      expect([code === EXIT.ok, out === ""]).toEqual([false, false]);
    }
    expect(await completions(["explain", "-A", ""], { reports })).toContain("shop/p");
  });
});

test("another namespace is not concerned", async () => {
  const reports = createChangedSource("summary.occurrences", 2 ** 53);
  expect(await runPlugin(["list", "-n", "shop"], { reports })).toMatchObject({ code: EXIT.ok, err: "" });
  expect((await runPlugin(["gate", "-n", "shop", "--outcome", "unknown"], { reports })).code).toBe(EXIT.ok);
});

test("asked for by its name it is an error", async () => {
  const reports = createChangedSource("summary.occurrences", 2 ** 53);
  const { code, err } = await runPlugin(["explain", "evil/p"], { reports });
  expect([code, err]).toEqual([EXIT.failed, expect.stringContaining("summary.occurrences")]);
});

test("an export writes the others, and keeps the files of those that it could not read", async () => {
  const dir = makeDirectory();
  const file = join(dir, "evil/policyviolationreports/p.yaml");
  const sound = [report("p", [violation()], { namespace: "evil" }), report("q", [violation()])];
  await runPlugin(["export", "-A", "--out", dir], { reports: sound });
  expect(existsSync(file)).toBe(true);
  const reports = createChangedSource("summary.occurrences", 2 ** 53);
  const { code, out } = await runPlugin(["export", "-A", "--out", dir], { reports });
  expect([code, out]).toEqual([EXIT.failed, expect.stringContaining("1 new, 0 changed, 0 gone")]);
  expect(existsSync(file)).toBe(true);
});

test("many are named in a few lines", async () => {
  const items = Array.from({ length: 200 }, (_, i) => {
    const each = report(`p${i}`, [], { namespace: "evil" });
    return { ...each, summary: { ...each.summary, nodes: 2 ** 60 } };
  });
  const { err } = await runPlugin(["list", "-A"], { reports: createSource(items) });
  expect(err.match(/left out/g)).toHaveLength(6);
  expect(err).toContain("195 more reports");
});

/** One report of the namespace shop, and one of evil, which has been changed. */
function createChangedSource(path: string, value: unknown): ReportSource {
  const changed = structuredClone(report("p", [violation()], { namespace: "evil" })) as unknown as Json;
  const keys = path.split(".");
  let at = changed;
  for (const key of keys.slice(0, -1)) at = at[key] as Json;
  at[keys.at(-1) ?? ""] = value;
  return createSource([changed as unknown as Report, report("p", [violation()], { namespace: "shop" })]);
}

/** Reports as an API server sends them. */
function createSource(reports: readonly Report[]): ReportSource {
  const client = {
    async request({ path }: { path: string }) {
      const namespace = /namespaces\/([^/]+)\//.exec(path)?.[1];
      const items = reports.filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace);
      const kept = path.includes("cluster") ? [] : items;
      return /reports$/.test(path) ? { items: kept, metadata: {} } : kept[0];
    },
  } as unknown as ApiRequester;
  const { heartbeat, acceptances } = createMemoryReports([]);
  const { signal } = new AbortController();
  return { ...createClusterReports({ client, signal }), heartbeat, acceptances } as ReportSource;
}
