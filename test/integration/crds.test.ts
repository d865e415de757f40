// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The CRDs on a real API server, through a real kubectl: what is accepted, what is refused, and what a person sees.

import { beforeAll, describe, expect, test } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { describeReal, useCluster } from "../support/real-parts.ts";
import { CLUSTER_CRD, getSchema, NAMESPACED_CRD, readCrd, type Schema, walk } from "../unit/api/crd.ts";
import { createFullClusterReport, createFullReport } from "../unit/api/full-report.ts";

const CRDS = ["policyviolationreports", "clusterpolicyviolationreports"].map(
  (plural) => `crd/${plural}.reports.kubearmor.com`,
);

/** The lines of a table as cells; columns are separated by at least two spaces. */
function parseTable(text: string): string[][] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd().split(/ {2,}/));
}

/** `5m`, `2d3h`, or `<invalid>` for a time that is still to come, as the samples' may be. */
const AGE = /^(\d+[smhdy])+$|^<invalid>$/;

describeReal("the CRDs", () => {
  const cluster = useCluster();

  beforeAll(async () => {
    await runKubectl(["apply", "--server-side", "-f", NAMESPACED_CRD, "-f", CLUSTER_CRD]);
    await runKubectl(["wait", "--for=condition=Established", "--timeout=60s", ...CRDS]);
    for (const namespace of ["wordpress-mysql", "shop"]) await runKubectl(["create", "namespace", namespace]);
  });

  function runKubectl(args: string[], input?: unknown): Promise<string> {
    return cluster.kubectl(args, input === undefined ? {} : { input: JSON.stringify(input) });
  }

  /** Creates an object with strict validation; returns what was stored. */
  async function create(report: Report): Promise<Report> {
    return JSON.parse(await runKubectl(["create", "--validate=strict", "-o", "json", "-f", "-"], report));
  }

  describe("a report", () => {
    test.each([
      ["namespaced", createFullReport("wordpress-mysql")],
      ["cluster", createFullClusterReport()],
    ])("with every field is stored as it was sent (%s)", async (_scope, report) => {
      const stored = await create(report);
      const { apiVersion, kind, metadata, ...body } = stored;
      // Microseconds and all: a time is text to the API server.
      expect({ apiVersion, kind, ...body }).toEqual({ ...report, metadata: undefined });
      expect(metadata).toMatchObject(report.metadata);
      expect(body.summary.firstSeen).toBe("2026-11-23T10:00:00.123456Z");
      expect(body.summary.lastSeen).toBe("2026-11-23T12:30:41.004210Z");
    });

    test("at the bounds of the schema is accepted", async () => {
      const report = createFullReport("shop");
      const [violation] = report.violations;
      report.metadata.name = "at-the-bounds";
      report.policy.message = "ß".repeat(512);
      report.violations = Array.from({ length: 1000 }, () => ({
        ...violation!,
        latest: { time: violation!.lastSeen },
      }));
      report.summary.occurrences = Number.MAX_SAFE_INTEGER;
      const stored = await create(report);
      expect(stored.violations).toHaveLength(1000);
      expect(stored.summary.occurrences).toBe(9_007_199_254_740_991);
      await runKubectl(["delete", "pvr", "-n", "shop", "at-the-bounds"]);
    });

    // biome-ignore lint/suspicious/noExplicitAny: what the types forbid is what is tried.
    const bad: [string, (report: any) => void, string][] = [
      ["an unknown field", (r) => (r.violations[0].shell = "sh"), 'unknown field "violations[0].shell"'],
      ["a field of the cluster report", (r) => (r.violations[0].node = "n1"), 'unknown field "violations[0].node"'],
      [
        "too many violations",
        (r) => (r.violations = Array(1001).fill(r.violations[0])),
        "must have at most 1000 items",
      ],
      ["too many pods", (r) => (r.violations[0].pods = Array(101).fill(r.violations[0].pods[0])), "at most 100 items"],
      ["an invalid kind of a policy", (r) => (r.policy.kind = "Policy"), 'Unsupported value: "Policy"'],
      ["an invalid outcome", (r) => (r.violations[0].outcome = "Blocked"), 'Unsupported value: "Blocked"'],
      ["an invalid severity", (r) => (r.summary.severity = "bad"), 'Unsupported value: "bad"'],
      ["a severity of 11", (r) => (r.policy.severity = 11), "should be less than or equal to 10"],
      ["a negative count", (r) => (r.summary.prevented = -1), "should be greater than or equal to 0"],
      ["a count that is not whole", (r) => (r.summary.prevented = 1.5), "must be of type integer"],
      ["a violation that never occurred", (r) => (r.violations[0].occurrences = 0), "greater than or equal to 1"],
      ["a text that is too long", (r) => (r.policy.message = "x".repeat(513)), "may not be more than 512"],
      ["an id that is not a hash", (r) => (r.violations[0].id = "6F1C0A9BE2D34C55"), "should match"],
      ["an invalid time", (r) => (r.summary.lastSeen = "yesterday"), "must be of type date-time"],
      ["a missing field", (r) => delete r.coverage.gaps, "coverage.gaps: Required value"],
      ["a missing list", (r) => delete r.violations, "violations: Required value"],
    ];
    test.each(bad)("with %s is refused", async (_what, spoil, said) => {
      const report = createFullReport("shop");
      spoil(report);
      await expect(create(report)).rejects.toThrow(said);
    });
  });

  describe("kubectl get", () => {
    test("shows columns of outcome and severity, and ages in place of times", async () => {
      const [head, row] = parseTable(await runKubectl(["get", "policyviolationreports", "-A"]));
      expect(head?.join("|")).toBe("NAMESPACE|NAME|PREVENTED|ALLOWED|UNKNOWN|PODS|SEVERITY|LAST SEEN|AGE");
      expect(row?.slice(0, 7).join("|")).toBe("wordpress-mysql|harden-wordpress-pkg-mngr-exec|0|8|0|7|medium");
      expect(row?.slice(7)).toEqual([expect.stringMatching(AGE), expect.stringMatching(AGE)]);
    });

    test("-o wide shows more", async () => {
      const [head, row] = parseTable(await runKubectl(["get", "pvr", "-n", "wordpress-mysql", "-o", "wide"]));
      expect(head?.slice(8)).toEqual(["VIOLATIONS", "ACCEPTED", "WORKLOADS", "FIRST SEEN", "LOWER BOUND", "KIND"]);
      expect(row?.slice(8)).toEqual(["3", "1", "1", expect.stringMatching(AGE), "true", "KubeArmorPolicy"]);
    });

    test("cpvr shows nodes in place of pods", async () => {
      const [head, row] = parseTable(await runKubectl(["get", "cpvr", "-o", "wide"]));
      expect(head).toEqual([
        ...["NAME", "PREVENTED", "ALLOWED", "UNKNOWN", "NODES", "SEVERITY", "LAST SEEN", "AGE"],
        ...["VIOLATIONS", "ACCEPTED", "WORKLOADS", "FIRST SEEN", "LOWER BOUND", "KIND"],
      ]);
      expect(row?.slice(0, 6)).toEqual(["host-shadow-file", "0", "8", "0", "2", "medium"]);
      expect(row?.at(-1)).toBe("KubeArmorHostPolicy");
    });

    test("kubearmor shows both kinds", async () => {
      const names = await runKubectl(["get", "kubearmor", "-A", "-o", "name"]);
      expect(names.trim().split("\n").sort()).toEqual([
        "clusterpolicyviolationreport.reports.kubearmor.com/host-shadow-file",
        "policyviolationreport.reports.kubearmor.com/harden-wordpress-pkg-mngr-exec",
      ]);
    });
  });

  describe("kubectl get --field-selector", () => {
    beforeAll(async () => {
      const report = createFullReport("shop");
      report.metadata.name = "default-posture";
      report.policy = { name: "DefaultPosture", kind: "DefaultPosture" };
      report.summary.severity = "critical";
      await create(report);
    });

    test.each([
      ["summary.severity=critical", ["default-posture"]],
      ["summary.severity=medium", ["harden-wordpress-pkg-mngr-exec"]],
      ["policy.name=DefaultPosture", ["default-posture"]],
      ["policy.kind=KubeArmorPolicy", ["harden-wordpress-pkg-mngr-exec"]],
      ["policy.kind!=KubeArmorPolicy,summary.severity=critical", ["default-posture"]],
      ["policy.kind=Unknown", []],
      // Values in the columns.
      ["summary.open.allowed!=0", ["default-posture", "harden-wordpress-pkg-mngr-exec"]],
      ["summary.open.allowed=0", []],
      ["summary.open.prevented=0", ["default-posture", "harden-wordpress-pkg-mngr-exec"]],
      ["summary.open.unknown!=0", []],
      ["summary.open.severity=medium", ["default-posture", "harden-wordpress-pkg-mngr-exec"]],
      ["coverage.lowerBound=true", ["default-posture", "harden-wordpress-pkg-mngr-exec"]],
    ])("%s selects", async (selector, names) => {
      const found = await runKubectl(["get", "pvr", "-A", "-o", "name", "--field-selector", selector]);
      expect(found.match(/[^/\n]+$/gm) ?? []).toEqual(names);
    });

    test("works for cluster reports", async () => {
      const found = await runKubectl("get cpvr -o name --field-selector policy.kind=KubeArmorHostPolicy".split(" "));
      expect(found.trim()).toMatch(/\/host-shadow-file$/);
    });

    test("refuses a field that can't be selected by", async () => {
      const selector = ["--field-selector", "summary.allowed=8"];
      await expect(runKubectl(["get", "pvr", "-A", ...selector])).rejects.toThrow("field label not supported");
    });
  });

  describe("kubectl explain", () => {
    test("lists the whole of a violation", async () => {
      const text = await runKubectl(["explain", "pvr.violations.pods", "--recursive"]);
      expect(text).toContain("Pods in which it happened, the most recent first");
      expect(text).toMatch(/^ {2}occurrences\t<integer> -required-$/m);
    });
  });

  test("the server describes every field in its OpenAPI document, for other clients than kubectl", async () => {
    const text = await runKubectl(["get", "--raw", "/openapi/v3/apis/reports.kubearmor.com/v1alpha1"]);
    const { components } = JSON.parse(text) as { components: { schemas: Record<string, Schema> } };
    for (const [kind, file] of [
      ["PolicyViolationReport", NAMESPACED_CRD],
      ["ClusterPolicyViolationReport", CLUSTER_CRD],
    ] as const) {
      const served = components.schemas[`com.kubearmor.reports.v1alpha1.${kind}`];
      const described = (schema: Schema) =>
        Object.fromEntries([...walk(schema)].map(([path, node]) => [path, node.description]));
      expect(described(served!)).toMatchObject(described(getSchema(readCrd(file))));
    }
  });
});
