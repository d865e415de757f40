// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// JUnit and SARIF against public schemas: Jenkins' (xunit-plugin, MIT) and OASIS' (SARIF 2.1.0, errata 01).

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import AjvDraft04 from "ajv-draft-04";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { validateXML } from "xmllint-wasm";
import type { Report } from "../../src/api/v1alpha1.ts";
import { makeDirectory, type PluginOptions, report, runPlugin, violation } from "./session.ts";

const readSchema = (name: string) => readFileSync(join(import.meta.dirname, "schemas", name), "utf8");
const JUNIT = readSchema("jenkins-junit-10.xsd");
const ajv = new AjvDraft04.default({ strict: false, allErrors: true });
addFormats.default(ajv as never);
const validateSarif = ajv.compile(JSON.parse(readSchema("sarif-2.1.0.schema.json")));

const EVIL = `a"b<c>&'\u0007\u001b]]>\uffff\u202e`;
const HOST = "host-report";

const REPORTS: Report[] = [
  report(
    "bad",
    [violation({ source: EVIL, resource: EVIL, outcome: "Allowed" }), violation({ id: "00000000000000bb" })],
    {
      policy: { name: EVIL, message: EVIL, tags: ["NIST", EVIL, ...Array.from({ length: 30 }, (_, n) => `t${n}`)] },
      severity: "high",
    },
  ),
  report("good", [violation({ accepted: { by: "ok" } })], { severity: "info" }),
  report("bad", [violation({ severity: 9 })], { namespace: "other", severity: "critical" }),
  report(HOST, [violation({ workload: { kind: "Node", name: "n1" } })], { namespace: undefined }),
  report("cut", [], {
    summary: { allowed: 2, violations: 1, occurrences: 2 },
    omitted: { violations: 1, occurrences: 2 },
  }),
  report("empty", []),
];

/** A report of a cluster with a name. */
function createClusterReport(cluster: string): Report {
  const one = report("bad", [violation()], { namespace: cluster });
  return { ...one, metadata: { ...one.metadata, labels: { "reports.kubearmor.com/cluster": cluster } } };
}

const CASES: [string, PluginOptions][] = [
  ["everything", { reports: REPORTS }],
  ["several clusters", { reports: [createClusterReport("east"), createClusterReport("west"), ...REPORTS] }],
  ["nothing", { reports: [] }],
  ["an unknown answer", { reports: [], heartbeat: { state: "unknown", why: EVIL } }],
];

describe("JUnit", () => {
  test.each(CASES)("of %s is valid against Jenkins' schema", async (_name, options) => {
    const { out } = await runPlugin(["gate", "-A", "--all", "-o", "junit"], options);
    const result = await validateXML({
      xml: [{ fileName: "gate.xml", contents: out }],
      schema: [{ fileName: "junit.xsd", contents: JUNIT }],
    });
    expect(result.errors).toEqual([]);
    expect(result.valid).toBe(true);
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\uffff\u202e]|]]>/);
  });

  test("has a suite per report, a case per violation, and what is accepted or known as skipped", async () => {
    const dir = join(makeDirectory(), "state");
    await runPlugin(["export", "-A", "--out", dir], { reports: [REPORTS[3] as Report] });
    const { code, out } = await runPlugin(["gate", "-A", "--all", "--baseline", dir, "-o", "junit"], {
      reports: REPORTS,
    });
    expect(code).toBe(1);
    expect(out).toContain('<testsuites name="kubectl violations gate" tests="8" failures="4" errors="0">');
    expect(out).toContain('<testsuite name="shop/bad" tests="2" failures="2" errors="0" skipped="0">');
    expect(out).toContain('<testsuite name="shop/good" tests="1" failures="0" errors="0" skipped="1">');
    expect(out).toContain('<skipped type="info" message="Accepted by ok.">');
    expect(out).toContain('<skipped type="medium" message="Known from the baseline.">');
    expect(out).toContain(
      '<testcase name="no open violation among those looked at" classname="shop.empty"></testcase>',
    );
    expect(out).toContain(
      '<failure type="unlisted" message="At least 1 violation that is not known to be accepted is not listed: the report has no room.">',
    );
  });

  test("names the cluster in each suite", async () => {
    const reports = [createClusterReport("east"), createClusterReport("west"), REPORTS[1] as Report];
    const { out } = await runPlugin(["gate", "-A", "--all", "-o", "junit"], { reports });
    const suites = [...out.matchAll(/<testsuite name="([^"]+)".*?<\/testsuite>/gs)].map(([suite, name]) => [
      name,
      [...suite.matchAll(/<property name="cluster" value="([^"]+)">/g)].map(([, cluster]) => cluster),
    ]);
    expect(suites).toEqual([
      ["gate", ["east", "west"]],
      ["east/bad", ["east"]],
      ["shop/good", []],
      ["west/bad", ["west"]],
    ]);
  });
});

describe("SARIF", () => {
  const runForSarif = async (flags: readonly string[], options: PluginOptions) => {
    const { out } = await runPlugin(["gate", "-A", "--all", "-o", "sarif", ...flags], options);
    return JSON.parse(out);
  };

  test.each(CASES)("of %s is valid against the schema of OASIS", async (_name, options) => {
    const sarif = await runForSarif([], options);
    validateSarif(sarif);
    expect(validateSarif.errors ?? []).toEqual([]);
    expect(JSON.stringify(sarif)).not.toMatch(/[\u0000-\u001f\uffff\u202e]/);
  });

  test("has what code scanning asks for", async () => {
    const [run] = (await runForSarif([], { reports: REPORTS })).runs;
    const { driver } = run.tool;
    expect(driver).toMatchObject({
      fullName: expect.stringMatching(/^kubectl-violations \d/),
      informationUri: expect.stringMatching(/^https:/),
      version: expect.stringMatching(/^\d/),
      semanticVersion: expect.any(String),
    });
    const rules = new Map<string, { [key: string]: never }>(
      driver.rules.map((rule: { id: string }) => [rule.id, rule]),
    );
    expect([...rules.keys()].sort()).toEqual([HOST, "other/bad", "shop/bad", "shop/cut", "shop/good"]);
    expect(rules.get("other/bad")).toMatchObject({
      properties: { "security-severity": "9.5" },
      help: { text: expect.stringContaining("KubeArmorPolicy"), markdown: expect.stringContaining("`") },
    });
    for (const { id, name, properties } of driver.rules) {
      expect(name).toBeTruthy();
      expect(name).not.toBe(id);
      expect(Number(properties["security-severity"])).toBeGreaterThan(0);
      expect(properties.tags.length).toBeLessThanOrEqual(20);
    }
    const ids = new Set(driver.rules.map(({ id }: { id: string }) => id));
    expect(run.results.filter(({ ruleId }: { ruleId: string }) => !ids.has(ruleId))).toEqual([]);
    const hashes = run.results.map((one: { ruleId: string; partialFingerprints: object }) =>
      JSON.stringify([one.ruleId, one.partialFingerprints]),
    );
    expect(new Set(hashes).size).toBe(hashes.length);
  });

  test("has suppressions for what is accepted or known", async () => {
    const { results } = (await runForSarif([], { reports: REPORTS })).runs[0];
    const suppressed = results.filter(({ suppressions }: { suppressions: unknown[] }) => suppressions?.length > 0);
    expect(suppressed).toMatchObject([
      { ruleId: "shop/good", level: "note", suppressions: [{ kind: "external", justification: "Accepted by ok." }] },
    ]);
  });

  test("names the cluster, so that runs of several clusters stay apart", async () => {
    const read = async (reports: Report[]) => (await runForSarif([], { reports })).runs[0];
    const [east, both, none] = [
      await read([createClusterReport("east"), ...REPORTS]),
      await read([createClusterReport("east"), createClusterReport("west")]),
      await read(REPORTS),
    ];
    expect(east).toMatchObject({
      automationDetails: { id: "kubectl-violations/east/" },
      properties: { clusters: ["east"] },
    });
    expect(both.properties.clusters).toEqual(["east", "west"]);
    expect([both, none].filter((run) => "automationDetails" in run)).toEqual([]);
    expect(none.properties.clusters).toEqual([]);
  });

  test("names the files of the export", async () => {
    const root = makeDirectory();
    const long = report("n".repeat(253), [violation()]);
    const reports = [...REPORTS, long];
    await runPlugin(["export", "-A", "--out", join(root, "audit state")], { reports });
    const { results } = (await runForSarif(["--export-dir", "audit state"], { reports })).runs[0];
    expect(results.length).toBeGreaterThan(5);
    for (const { locations } of results) {
      const { uri } = locations[0].physicalLocation.artifactLocation;
      expect(uri).toMatch(/^audit%20state\//);
      expect(existsSync(join(root, decodeURIComponent(uri)))).toBe(true);
    }
    const usual = (await runForSarif([], { reports })).runs[0].results[0].locations[0].physicalLocation;
    expect(usual.artifactLocation.uri).toMatch(/^violations\//);
  });
});

test("the help of a rule in SARIF reads as text, with names in code spans", async () => {
  const name = "p`](https://evil.test) *x*";
  const reports = [
    report("p", [violation({ outcome: "Allowed", action: "Audit" })], { policy: { name, message: "<b>hello</b>" } }),
  ];
  const { out } = await runPlugin(["gate", "-n", "shop", "--all", "-o", "sarif"], { reports });
  const { text, markdown } = JSON.parse(out).runs[0].tool.driver.rules[0].help;
  const code = "``p`](https://evil.test) *x*``";
  expect(markdown).toBe(
    [
      `\`KubeArmorPolicy\` ${code} in \`shop\`.`,
      "Its message: `<b>hello</b>`",
      "If it is wanted, nothing has to be done.",
      `If it must not happen, set the action to Block in ${code}.`,
      "The alert has no labels of the pod, so that no policy can select it.",
    ].join("\n\n"),
  );
  expect(text.split("\n")).toHaveLength(5);
});
