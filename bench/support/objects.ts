// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The Kubernetes objects that the source's alerts speak of, and reports that are there before an operator is.

import type { Report, Violation } from "../../src/api/v1alpha1.ts";
import { formatMicroTime } from "../../src/lib/time.ts";
import type { KubeApi } from "./kube-api.ts";

const REPORTS = "/apis/reports.kubearmor.com/v1alpha1";
export const ALL_REPORTS = `${REPORTS}/policyviolationreports`;
const AT_A_TIME = 8;

/** A number as the source writes it into names. */
export function toLetters(number: number, width = 4): string {
  let text = "";
  for (let rest = number; text.length < width; rest = Math.floor(rest / 26)) {
    text = String.fromCharCode(97 + (rest % 26)) + text;
  }
  return text;
}

/** Makes sure of the namespaces of a key space. */
export async function makeNamespaces(api: KubeApi, count: number): Promise<void> {
  await runForEach(count, async (i) => {
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: `team-${toLetters(i)}` } };
    const { status, text } = await api.send("POST", "/api/v1/namespaces", body);
    if (status !== 201 && status !== 409) throw new Error(text);
  });
}

/** Makes sure of the first pod of each report's workload. */
export async function makePods(api: KubeApi, reports: number, namespaces: number): Promise<void> {
  await runForEach(reports, async (report) => {
    const namespace = `team-${toLetters(report % namespaces)}`;
    const body = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `app-${toLetters(report)}-7f9c6d5b8-${toLetters(0, 5)}` },
      spec: { automountServiceAccountToken: false, containers: [{ name: "main", image: "app" }] },
    };
    const { status, text } = await api.send("POST", `/api/v1/namespaces/${namespace}/pods`, body);
    if (status !== 201 && status !== 409) throw new Error(text);
  });
}

/** Deletes every report. */
export async function removeReports(api: KubeApi): Promise<void> {
  const { items } = await api.call<{ items: { metadata: { name: string } }[] }>("GET", "/api/v1/namespaces");
  await api.call("DELETE", `${REPORTS}/clusterpolicyviolationreports`);
  await runForEach(items.length, async (i) => {
    await api.call("DELETE", `${REPORTS}/namespaces/${items[i]?.metadata.name}/policyviolationreports`);
  });
}

/** Plants reports of five violations each, named unlike those of the source. */
export async function createReports(api: KubeApi, count: number, namespaces: number): Promise<void> {
  await runForEach(count, async (i) => {
    const report = createReport(`team-${toLetters(i % namespaces)}`, `planted-${toLetters(i)}`, 5);
    await api.call("POST", getReportsPath(report.metadata.namespace ?? ""), report);
  });
}

export function getReportsPath(namespace: string): string {
  return `${REPORTS}/namespaces/${namespace}/policyviolationreports`;
}

/** A report as the operator would write it now: one of long ago it would remove. */
export function createReport(namespace: string, name: string, violations: number): Report {
  const time = formatMicroTime(Date.now() * 1000);
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "PolicyViolationReport",
    metadata: { name, namespace, labels: { "app.kubernetes.io/managed-by": "policy-violation-operator" } },
    policy: { name, kind: "KubeArmorPolicy", severity: 5, tags: ["NIST", "SI-4"], message: "Alert! A rule was broken" },
    summary: {
      occurrences: violations,
      prevented: violations,
      allowed: 0,
      unknown: 0,
      violations,
      workloads: 1,
      pods: 1,
      nodes: 1,
      severity: "medium",
      firstSeen: time,
      lastSeen: time,
    },
    violations: Array.from({ length: violations }, (_, i) => createViolation(i, time)),
    coverage: { gaps: 0, throttleNotices: 0, lowerBound: false },
  };
}

function createViolation(index: number, time: string): Violation {
  const resource = `/usr/bin/tool-${toLetters(index)}`;
  const pod = "app-planted-7f9c6d5b8-aaaaa";
  return {
    id: index.toString(16).padStart(16, "0"),
    workload: { kind: "Deployment", name: "app-planted" },
    container: "main",
    operation: "Process",
    action: "Block",
    outcome: "Prevented",
    source: "/bin/bash",
    resource,
    occurrences: 1,
    firstSeen: time,
    lastSeen: time,
    pods: [{ name: pod, node: "node-aaaa", occurrences: 1, lastSeen: time }],
    latest: {
      time,
      node: "node-aaaa",
      pod,
      containerId: "b0a1d2c3e4f5968778695a4b3c2d1e0fb0a1d2c3e4f5968778695a4b00000000",
      image: "registry.example.com/team/app:v1.42.0",
      command: `${resource} update --quiet`,
      process: resource,
      parent: "/bin/bash",
      pid: 65_540,
      uid: 1000,
      enforcer: "BPFLSM",
      data: "lsm=SECURITY_BPRM_CHECK",
    },
  };
}

async function runForEach(count: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await act(index);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}
