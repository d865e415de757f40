// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports in which every field is set, for tests of the schema. A test holds them complete.

import type { Report, ReportBody, Violation } from "../../../src/api/v1alpha1.ts";

const VIOLATION: Violation = {
  id: "6f1c0a9be2d34c55",
  workload: { kind: "Deployment", name: "wordpress" },
  container: "wordpress",
  operation: "Process",
  verb: "exec",
  severity: 7,
  tags: ["PCI"],
  message: "apt was started",
  action: "Block",
  outcome: "Prevented",
  accepted: { by: "vendor-backup" },
  source: "/bin/bash",
  resource: "/usr/bin/apt",
  occurrences: 120,
  lowerBound: true,
  firstSeen: "2026-11-23T10:00:00.123456Z",
  lastSeen: "2026-11-23T12:30:41.004210Z",
  pods: [
    {
      name: "wordpress-787f45786f-2q9wf",
      node: "aks-agentpool-16128849-vmss000001",
      occurrences: 118,
      lastSeen: "2026-11-23T12:30:41.004210Z",
    },
  ],
  latest: {
    time: "2026-11-23T12:30:41.004210Z",
    type: "MatchedPolicy",
    result: "Permission denied",
    cluster: "default",
    node: "aks-agentpool-16128849-vmss000001",
    nodeId: "c3de1d4ae4f1474c9eb1ae44c3a9d1ee",
    pod: "wordpress-787f45786f-2q9wf",
    labels: "app=wordpress",
    containerId: "6a9ff7cd9d2c4a2d5ebdd7a9a5bd0b4f",
    image: "docker.io/library/wordpress:4.8-apache@sha256:6216f64a",
    command: "/usr/bin/apt update",
    source: "/bin/bash -c 'apt update'",
    resource: "/tmp/apt.conf.aB3dE9",
    process: "/usr/bin/apt",
    parent: "/bin/bash",
    pid: 225,
    ppid: 219,
    hostPid: 1_164_545,
    hostPpid: 1_164_539,
    // As KubeArmor sends 4294967294, `nobody` of some file servers.
    uid: -2,
    user: "root",
    cwd: "/var/www/html/",
    tty: "pts0",
    execId: "3318923891",
    execName: "apt",
    enforcer: "BPFLSM",
    data: "lsm=SECURITY_BPRM_CHECK",
    kubearmorVersion: "v1.7.4",
    hashes: { algorithm: "sha256", process: "9f86d081", parent: "60303ae2", resource: "fd61a03a" },
  },
};

const BODY: ReportBody = {
  policy: {
    name: "harden-wordpress-pkg-mngr-exec",
    kind: "KubeArmorPolicy",
    severity: 5,
    tags: ["NIST", "SI-4"],
    message: "Alert! Execution of package management process inside container is denied",
    provenance: "Found",
    objects: [
      {
        kind: "KubeArmorPolicy",
        namespace: "wordpress-mysql",
        uid: "0d4c9c5c-5d0e-4d7a-8f4b-0f2f4f6c2a11",
        generation: 3,
        changedAt: "2026-11-23T12:45:00.000000Z",
        source: { tool: "ArgoCD", kind: "Application", name: "wordpress", namespace: "argocd" },
      },
    ],
    changedSinceLastSeen: true,
  },
  summary: {
    occurrences: 128,
    prevented: 120,
    allowed: 8,
    unknown: 0,
    violations: 3,
    workloads: 1,
    pods: 7,
    nodes: 2,
    severity: "medium",
    severityThresholds: { low: 3, medium: 5, high: 7, critical: 10 },
    firstSeen: "2026-11-23T10:00:00.123456Z",
    lastSeen: "2026-11-23T12:30:41.004210Z",
    history: {
      hourly: [{ start: "2026-11-23T12:00:00Z", prevented: 120, allowed: 7, unknown: 1 }],
      daily: [{ start: "2026-11-23T00:00:00Z", prevented: 120, allowed: 7, unknown: 1 }],
      lowerBound: true,
    },
    accepted: { violations: 1, occurrences: 120 },
    open: { occurrences: 8, prevented: 0, allowed: 8, unknown: 0, violations: 2, severity: "medium" },
  },
  violations: [VIOLATION],
  omitted: { violations: 2, occurrences: 8 },
  expired: { violations: 1, occurrences: 4 },
  coverage: {
    continuousSince: "2026-11-23T09:59:58.000000Z",
    nodes: { desired: 3, connected: 3 },
    gaps: 1,
    throttleNotices: 2,
    rejected: 1,
    withoutDetails: 3,
    lowerBound: true,
    recent: [
      {
        kind: "Throttled",
        from: "2026-11-23T12:30:00.000000Z",
        to: "2026-11-23T12:30:30.000000Z",
        seconds: 30,
        container: "wordpress",
        pod: "wordpress-787f45786f-2q9wf",
        node: "aks-agentpool-16128849-vmss000001",
        nodes: 2,
        count: 1,
      },
    ],
  },
};

/** A namespaced report with every field that it may have. */
export function createFullReport(namespace: string): Report {
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "PolicyViolationReport",
    metadata: { name: BODY.policy.name, namespace },
    ...structuredClone(BODY),
  };
}

/** A cluster report with every field that it may have. */
export function createFullClusterReport(): Report {
  const body = structuredClone(BODY);
  body.violations = [{ ...VIOLATION, namespace: "container_namespace", node: "worker-1" }];
  return {
    apiVersion: "reports.kubearmor.com/v1alpha1",
    kind: "ClusterPolicyViolationReport",
    metadata: { name: "host-shadow-file" },
    ...body,
    policy: { ...body.policy, name: "host-shadow-file", kind: "KubeArmorHostPolicy" },
  };
}

/** A report's own fields: one violation, seen once and not listed. */
export const SMALL_BODY = {
  policy: { name: "block-shell", kind: "KubeArmorPolicy" },
  summary: {
    ...{ occurrences: 1, prevented: 1, allowed: 0, unknown: 0 },
    ...{ violations: 1, workloads: 1, pods: 1, nodes: 1, severity: "high" },
    firstSeen: "2026-11-23T10:00:00.000001Z",
    lastSeen: "2026-11-23T10:00:00.000001Z",
  },
  violations: [],
  coverage: { gaps: 0, throttleNotices: 0, lowerBound: false },
} as const satisfies Partial<Report>;
