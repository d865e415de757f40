// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The mapping of docs/openreports.md, field by field, and what keeps readers from losing or repeating a result.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { OpenReportResult, ResultStatus } from "../../../src/api/openreports.ts";
import type { Outcome, Report, Violation } from "../../../src/api/v1alpha1.ts";
import { type OpenReportOptions, openReportName, toOpenReport } from "../../../src/report/openreport.ts";
import { OPTIONS } from "../../support/openreports/options.ts";
import { createFullClusterReport, createFullReport } from "../api/full-report.ts";

function addStoredMetadata(report: Report): Report {
  return { ...report, metadata: { ...report.metadata, uid: "uid-1", resourceVersion: "7" } };
}

/** A report that lists `count` violations and omits none. */
function createReport(
  count: number,
  change: (violation: Violation, index: number) => Partial<Violation> = () => ({}),
): Report {
  const { omitted: _, ...report } = addStoredMetadata(createFullReport("shop"));
  const first = report.violations[0] as Violation;
  const { accepted: __, verb: ___, severity: ____, tags: _____, message: ______, ...plain } = first;
  const violations = Array.from({ length: count }, (_, i) => ({
    ...plain,
    id: String(i).padStart(16, "0"),
    ...change(plain, i),
  }));
  return { ...report, violations };
}

function toResults(report: Report, options: Partial<OpenReportOptions> = {}): OpenReportResult[] {
  return toOpenReport(report, { ...OPTIONS, ...options }, undefined).results;
}

function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

test("every field of a report with all fields", () => {
  expect(
    toOpenReport(addStoredMetadata(createFullReport("shop")), { ...OPTIONS, clusterName: "east" }, undefined),
  ).toEqual({
    apiVersion: "openreports.io/v1alpha1",
    kind: "Report",
    metadata: {
      name: "kubearmor-harden-wordpress-pkg-mngr-exec",
      namespace: "shop",
      labels: { "app.kubernetes.io/managed-by": "policy-violation-operator" },
      annotations: { "argocd.argoproj.io/compare-options": "IgnoreExtraneous" },
      ownerReferences: [
        {
          apiVersion: "reports.kubearmor.com/v1alpha1",
          kind: "PolicyViolationReport",
          name: "harden-wordpress-pkg-mngr-exec",
          uid: "uid-1",
        },
      ],
    },
    source: "KubeArmor",
    summary: { pass: 0, fail: 0, warn: 1, error: 0, skip: 1 },
    results: [
      {
        source: "KubeArmor",
        policy: "harden-wordpress-pkg-mngr-exec",
        rule: "Process",
        category: "PCI",
        severity: "high",
        result: "skip",
        scored: true,
        timestamp: { seconds: Date.UTC(2026, 10, 23, 12, 30, 41) / 1000, nanos: 4_210_000 },
        resources: [{ apiVersion: "apps/v1", kind: "Deployment", name: "wordpress", namespace: "shop" }],
        message: "apt was started. " + "Process exec /usr/bin/apt by /bin/bash in container wordpress was prevented.",
        properties: {
          resultID: hashText("shop/harden-wordpress-pkg-mngr-exec/6f1c0a9be2d34c55"),
          violation: "6f1c0a9be2d34c55",
          cluster: "east",
          outcome: "Prevented",
          occurrences: "120+",
          firstSeen: "2026-11-23T10:00:00.123456Z",
          lastSeen: "2026-11-23T12:30:41.004210Z",
          accepted: "vendor-backup",
          action: "Block",
          container: "wordpress",
          command: "/usr/bin/apt update",
          image: "docker.io/library/wordpress:4.8-apache@sha256:6216f64a",
          node: "aks-agentpool-16128849-vmss000001",
          enforcer: "BPFLSM",
          pods: "wordpress-787f45786f-2q9wf",
          lowerBound: "true",
          missing: "Throttled 30 s",
        },
      },
      {
        source: "KubeArmor",
        policy: "harden-wordpress-pkg-mngr-exec",
        rule: "omitted",
        category: "NIST",
        severity: "medium",
        result: "warn",
        scored: false,
        timestamp: { seconds: Date.UTC(2026, 10, 23, 12, 30, 41) / 1000, nanos: 4_210_000 },
        message: "More violations of this policy are counted in the report than are listed here.",
        properties: {
          resultID: hashText("shop/harden-wordpress-pkg-mngr-exec/omitted"),
          violations: "2",
          occurrences: "8",
          cluster: "east",
        },
      },
    ],
  });
});

test("a cluster report becomes a ClusterReport, a node a resource without a namespace", () => {
  const report = addStoredMetadata(createFullClusterReport());
  const [first] = report.violations as [Violation];
  const onNode = { ...first, workload: { kind: "Node", name: "worker-1" }, namespace: undefined };
  const mapped = toOpenReport({ ...report, violations: [first, onNode as unknown as Violation] }, OPTIONS, undefined);
  expect(mapped).toMatchObject({ kind: "ClusterReport", metadata: { name: "kubearmor-host-shadow-file" } });
  expect(mapped.metadata).not.toHaveProperty("namespace");
  expect(mapped.metadata.ownerReferences[0]?.kind).toBe("ClusterPolicyViolationReport");
  expect(mapped.results.slice(0, 2).map(({ resources }) => resources)).toEqual([
    [{ apiVersion: "apps/v1", kind: "Deployment", name: "wordpress", namespace: "container_namespace" }],
    [{ apiVersion: "v1", kind: "Node", name: "worker-1" }],
  ]);
});

test.each<[Partial<Violation>, string, boolean]>([
  [{ outcome: "Allowed", action: "Audit" }, "fail", false],
  [{ outcome: "Prevented", action: "Block" }, "warn", true],
  [{ outcome: "Unknown", action: "Audit (Block)" }, "fail", true],
  [{ outcome: "Allowed", accepted: { by: "x" } }, "skip", true],
])("%j is a result %s, scored %s", (violation, status, scored) => {
  const [result] = toResults(createReport(1, () => violation));
  expect([result?.result, result?.scored]).toEqual([status, scored]);
  const all = (value: "error") => ({ allowed: value, prevented: value, unknown: value, accepted: value });
  expect(
    toResults(
      createReport(1, () => violation),
      { results: all("error") },
    )[0]?.result,
  ).toBe("error");
});

describe("severity", () => {
  test("is never empty", () => {
    const report = createReport(1);
    report.policy = { name: "p", kind: "KubeArmorPolicy" };
    expect(toResults(report)[0]?.severity).toBe("medium");
    expect(toResults(report, { unknownSeverity: "info" })[0]?.severity).toBe("info");
  });

  test("verb, severity, tags and message are those of the rule that matched, where it has its own", () => {
    const rule = { verb: "exec", severity: 9, tags: ["CIS"], message: "No shells" };
    const [own] = toResults(createReport(1, () => rule as object));
    expect(own).toMatchObject({
      severity: "critical",
      category: "CIS",
      message: "No shells. Process exec /usr/bin/apt by /bin/bash in container wordpress was prevented.",
    });
    const [none] = toResults(createReport(1, () => ({ severity: 0, tags: [], message: "" }) as object));
    expect(none).toMatchObject({ severity: "medium", category: "KubeArmorPolicy" });
    expect(none?.message).toMatch(/^Process /);
    const thresholds = { low: 1, medium: 2, high: 3, critical: 4 };
    expect(toResults(createReport(1), { thresholds })[0]?.severity).toBe("critical");
  });
});

test("resultID is unique over reports that hold the same violation, and stays when the counts change", () => {
  const one = createReport(3);
  const other = { ...one, metadata: { ...one.metadata, name: "other" } };
  const elsewhere = { ...one, metadata: { ...one.metadata, namespace: "bank" } };
  const { namespace: _, ...clusterMeta } = one.metadata;
  const reports = [one, other, elsewhere, { ...one, metadata: clusterMeta } as Report];
  const ids = reports
    .flatMap((report) => toResults(report, { maxResults: 2 }))
    .map((each) => each.properties["resultID"]);
  expect(new Set(ids).size).toBe(8);
  const later = createReport(3, (violation) => ({
    occurrences: violation.occurrences + 5,
    lastSeen: "2026-11-24T00:00:00.000000Z",
  }));
  expect(toResults(later, { maxResults: 2 }).map((each) => each.properties["resultID"])).toEqual(ids.slice(0, 2));
});

describe("message", () => {
  test("holds no count, time or pod, and stays while the violation repeats", () => {
    const later = createReport(1, () => ({ occurrences: 987, lastSeen: "2027-01-01T00:00:00.000000Z", pods: [] }));
    const [before] = toResults(createReport(1));
    expect(before?.message).not.toMatch(/120|118|2026|2q9wf|aks-/);
    expect(toResults(later)[0]?.message).toBe(before?.message);
  });

  test("is one sentence where the policy has no message, and needs no container, source or resource", () => {
    const report = createReport(1, () => ({ container: "", source: "", resource: "" }));
    report.policy = { name: "p", kind: "DefaultPosture" };
    expect(toResults(report)[0]).toMatchObject({ message: "Process was prevented.", category: "DefaultPosture" });
  });
});

describe("limits", () => {
  const outcomes: Outcome[] = ["Allowed", "Prevented"];
  const report = createReport(150, (_, i) => ({ outcome: outcomes[i % 2] as Outcome, occurrences: 2 }));
  const limited = (limits: Parameters<typeof toOpenReport>[2], mostThatFit?: number) =>
    toOpenReport(report, { ...OPTIONS, mostThatFit }, limits);

  test("100 results by default, the last of which stands for the rest", () => {
    const { results, summary, configuration } = limited(undefined);
    expect(results).toHaveLength(100);
    expect(results[99]).toMatchObject({ rule: "omitted", properties: { violations: "51", occurrences: "102" } });
    expect(summary).toEqual({ pass: 0, fail: 50, warn: 50, error: 0, skip: 0 });
    expect(configuration).toBeUndefined();
    expect(toResults(createReport(100))).toHaveLength(100);
    expect(toResults(createReport(100)).at(-1)?.rule).toBe("Process");
  });

  test("those of the stored copy are kept and come first, above and below the default", () => {
    expect(limited({ maxResults: 1000 }).results).toHaveLength(150);
    expect(limited({ maxResults: 1 }).results).toMatchObject([{ rule: "omitted", properties: { violations: "150" } }]);
    expect(limited({ maxResults: 0 }).results).toHaveLength(100);
    const filtered = limited({ maxResults: 10, statusFilter: ["fail"] });
    expect(filtered.results.map(({ result }) => result)).toEqual(Array(10).fill("fail"));
    expect(filtered.results.at(-1)).toMatchObject({ rule: "omitted", properties: { violations: "66" } });
    expect(filtered.configuration).toEqual({ limits: { maxResults: 10, statusFilter: ["fail"] } });
    expect(limited({ statusFilter: ["pass"] }).results).toEqual([]);
  });

  test("a cut list is a result of a status that a violation can have, or none", () => {
    const report = createReport(2, () => ({ outcome: "Prevented" }));
    report.omitted = { violations: 3, occurrences: 4 };
    const statuses = (...statusFilter: ResultStatus[]) =>
      toOpenReport(report, OPTIONS, { statusFilter }).results.map(({ rule, result }) => `${rule} ${result}`);
    expect(statuses("pass")).toEqual([]);
    expect(statuses("pass", "fail")).toEqual(["omitted fail"]);
    expect(statuses("skip")).toEqual(["omitted skip"]);
    expect(statuses("fail", "warn")).toEqual(["Process warn", "Process warn", "omitted warn"]);
  });

  test("what the API server takes goes before all", () => {
    expect(limited({ maxResults: 1000 }, 20).results).toHaveLength(20);
  });
});

test("occurrences are marked where they are a lower bound, and pods beyond three are others", () => {
  const pods = ["a", "b", "c", "d"].map((name) => ({ name, occurrences: 1, lastSeen: "2026-11-23T10:00:00.000000Z" }));
  const report = createReport(2, (_, i) => ({ pods, lowerBound: i === 1 }));
  report.coverage = { gaps: 0, throttleNotices: 0, lowerBound: false };
  const [exact, atLeast] = toResults(report).map((each) => each.properties);
  expect(exact).toMatchObject({ occurrences: "120", pods: "a, b, c and others" });
  expect(exact).not.toHaveProperty("lowerBound");
  expect(exact).not.toHaveProperty("missing");
  expect(atLeast).toMatchObject({ occurrences: "120+", lowerBound: "true" });
});

test("names stay within 253 characters and apart", () => {
  expect(openReportName("p")).toBe("kubearmor-p");
  const [long, longer] = ["a".repeat(252), "a".repeat(253)].map(openReportName) as [string, string];
  expect([long.length, longer.length]).toEqual([253, 253]);
  expect(long).not.toBe(longer);
  expect(openReportName(`${"a".repeat(233)}.${"b".repeat(19)}`)).toMatch(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
});

test("the same report gives the same bytes, and is not changed", () => {
  const report = addStoredMetadata(createFullReport("shop"));
  const before = JSON.stringify(report);
  expect(JSON.stringify(toOpenReport(report, OPTIONS, undefined))).toBe(
    JSON.stringify(toOpenReport(structuredClone(report), OPTIONS, undefined)),
  );
  expect(JSON.stringify(report)).toBe(before);
});
