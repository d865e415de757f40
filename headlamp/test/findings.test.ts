// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, test } from "vitest";
import { findForSubject, listWorstFirst } from "../src/model/findings.ts";
import { createReport, createViolation, readSampleReports } from "./reports.ts";

const POD = { kind: "Pod", name: "web-1", namespace: "shop" };

test("violations of all samples are listed once, the worst first", () => {
  const reports = readSampleReports();
  const found = listWorstFirst(reports);
  expect(found).toHaveLength(reports.reduce((sum, { violations }) => sum + violations.length, 0));
  expect(found[0]?.report.summary.severity).toBe("critical");
});

describe("violations of an object", () => {
  test("are those of its namespace that name it, with its own occurrences", () => {
    const pods = [
      { name: "web-1", node: "node-1", occurrences: 2, lastSeen: "2026-11-23T10:00:00.000000Z" },
      { name: "web-2", node: "node-2", occurrences: 5, lastSeen: "2026-11-23T10:00:00.000000Z" },
    ];
    const report = createReport([createViolation({ occurrences: 7, pods })]);
    const elsewhere = createReport([createViolation()], { metadata: { name: "no-shells", namespace: "other" } });
    const occurrences = (kind: string, name: string, namespace?: string) =>
      findForSubject([report, elsewhere], { kind, name, ...(namespace ? { namespace } : {}) }).findings.map(
        (finding) => finding.occurrences,
      );
    expect(occurrences("Pod", "web-1", "shop")).toEqual([2]);
    expect(occurrences("Deployment", "web", "shop")).toEqual([7]);
    expect(occurrences("Deployment", "we", "shop")).toEqual([]);
    expect(occurrences("StatefulSet", "web", "shop")).toEqual([]);
    expect(occurrences("Node", "node-2")).toEqual([5]);
  });

  test("of a host are found by its node, its count unknown where others are counted, too", () => {
    const host = createViolation({ workload: { kind: "Node", name: "node-1" }, pods: [], occurrences: 4 });
    const container = createViolation({
      id: "1",
      workload: { kind: "Container", name: "runner" },
      node: "node-1",
      pods: [],
    });
    const report = createReport([host, container], {
      kind: "ClusterPolicyViolationReport",
      metadata: { name: "hosts" },
    });
    const { findings } = findForSubject([report], { kind: "Node", name: "node-1" });
    expect(findings.map(({ occurrences }) => occurrences)).toEqual([4, undefined]);
  });

  test("of a folded workload are found by what its name folds", () => {
    const report = createReport([createViolation({ workload: { kind: "Job", name: "migrate-*" } })]);
    const find = (name: string) => findForSubject([report], { kind: "Job", name, namespace: "shop" }).findings;
    expect(find("migrate-29103")).toHaveLength(1);
    expect(find("remigrate-29103")).toEqual([]);
    expect(find("migrateX1")).toEqual([]);
  });

  test("may be more: lists that are cut, and violations that do not list all pods", () => {
    const partial = createViolation({
      occurrences: 50,
      pods: [{ name: "web-9", occurrences: 3, lastSeen: "2026-11-23T10:00:00.000000Z" }],
    });
    const omitted = { violations: 2, occurrences: 9 };
    const cut = createReport([partial], { omitted });
    const other = createReport([], { omitted, metadata: { name: "x", namespace: "other" } });
    const found = findForSubject([cut, other], POD);
    expect(found).toEqual({ findings: [], cut: [cut], unnamed: 1 });
    expect(findForSubject([cut], { ...POD, kind: "Deployment" }).unnamed).toBe(0);
    expect(findForSubject([createReport([createViolation()])], { ...POD, name: "web-2" })).toEqual({
      findings: [],
      cut: [],
      unnamed: 0,
    });
  });
});
