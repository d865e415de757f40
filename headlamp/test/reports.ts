// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports for tests, of the form that the operator writes.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { Report, Violation } from "../../src/api/v1alpha1.ts";

const SAMPLES = join(import.meta.dirname, "../../test/golden/samples/reports");

/** The reports of the sample alerts. */
export function readSampleReports(): Report[] {
  return readdirSync(SAMPLES, { recursive: true, encoding: "utf8" })
    .filter((path) => /policyviolationreports\/[^/]+\.yaml$/.test(path))
    .map((path) => parse(readFileSync(join(SAMPLES, path), "utf8")) as Report);
}

const TIME = "2026-11-23T10:00:00.000000Z";

export function createViolation(changes: Partial<Violation> = {}): Violation {
  return {
    id: "0123456789abcdef",
    workload: { kind: "Deployment", name: "web" },
    operation: "Process",
    outcome: "Allowed",
    resource: "/bin/sh",
    occurrences: 3,
    firstSeen: TIME,
    lastSeen: TIME,
    pods: [{ name: "web-1", node: "node-1", occurrences: 3, lastSeen: TIME }],
    ...changes,
  };
}

export function createReport(
  violations: readonly Violation[],
  changes: Partial<Omit<Report, "summary">> & { summary?: Partial<Report["summary"]> } = {},
): Report {
  const counts = {
    occurrences: violations.reduce((sum, { occurrences }) => sum + occurrences, 0),
    allowed: 0,
    prevented: 0,
    unknown: 0,
  };
  for (const { outcome, occurrences } of violations) {
    if (outcome === "Allowed") counts.allowed += occurrences;
    else if (outcome === "Prevented") counts.prevented += occurrences;
    else counts.unknown += occurrences;
  }
  const summary = {
    ...counts,
    violations: violations.length,
    workloads: 1,
    pods: 1,
    nodes: 1,
    severity: "low" as const,
    firstSeen: TIME,
    lastSeen: TIME,
  };
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "PolicyViolationReport",
    metadata: { name: "no-shells", namespace: "shop" },
    policy: { name: "no-shells", kind: "KubeArmorPolicy", severity: 3 },
    violations: [...violations],
    coverage: { gaps: 0, throttleNotices: 0, lowerBound: false },
    ...changes,
    summary: { ...summary, ...changes.summary },
  };
}
