// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts that are one violation and alerts that are not, from the input to the report. The tables are written by hand from
// the alerts of test/faults; never fill them in from what the program prints.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Report } from "../../src/api/v1alpha1.ts";
import { ROOT } from "../unit/api/crd.ts";
import { findFaults } from "../unit/report/report-check.ts";
import { runReplay } from "./pipeline-replay.ts";

function read(name: string): string {
  return readFileSync(join(ROOT, "test/faults", name), "utf8");
}

async function replayText(text: string): Promise<Report[]> {
  const { reports, code } = await runReplay(text);
  expect(code).toBe(0);
  for (const report of reports) expect(findFaults(report)).toEqual([]);
  return reports;
}

/** policy: occurrences violations workloads | workload/container operation verb source -> resource xN */
function toRows(reports: readonly Report[]): string[] {
  return reports
    .flatMap(({ policy, summary, violations }) => [
      `${policy.name}: ${summary.occurrences} ${summary.violations} ${summary.workloads}`,
      ...violations.map((v) =>
        [
          `${policy.name} | ${v.workload.kind}/${v.workload.name}/${v.container ?? ""}`,
          `${v.operation} ${v.verb ?? ""} | ${v.source ?? ""} -> ${v.resource ?? ""} x${v.occurrences}`,
        ].join(" | "),
      ),
    ])
    .sort();
}

const TOOL = "File open | /usr/bin/tool -> ";

const TABLES: Record<string, readonly string[]> = {
  // Ports, system calls, file and socket hooks that differ in Data only.
  "fault-1.jsonl": [
    "DefaultPosture: 2 2 1",
    "DefaultPosture | Deployment/web/web | Network accept |  ->  x1",
    "DefaultPosture | Deployment/web/web | Network connect |  ->  x1",
    "fim: 2 2 1",
    "fim | Deployment/web/web | File open | /usr/bin/tool -> /data/x x1",
    "fim | Deployment/web/web | File unlink | /usr/bin/tool -> /data/x x1",
    "gate: 3 3 1",
    "gate | Node/n1/ | NetworkFirewall ingress |  -> protocol=tcp port=10250 x1",
    "gate | Node/n1/ | NetworkFirewall ingress |  -> protocol=tcp port=22 x1",
    "gate | Node/n1/ | NetworkFirewall ingress |  -> protocol=udp port=161 x1",
    "sys: 4 4 1",
    "sys | Node/n1/ | Syscall mount | /usr/bin/tool ->  x1",
    "sys | Node/n1/ | Syscall ptrace | /usr/bin/tool ->  x1",
    "sys | Node/n1/ | Syscall setgid | /usr/bin/tool ->  x1",
    "sys | Node/n1/ | Syscall setuid | /usr/bin/tool ->  x1",
  ],
  // Containers by id, by a Docker name, and before the owner was known.
  "fault-4.jsonl": [
    "docker: 2 1 1",
    `docker | Deployment/web/web | ${TOOL}/data/x x2`,
    "early: 3 1 1",
    `early | Deployment/web/web | ${TOOL}/data/x x3`,
    "init: 3 1 1",
    `init | Deployment/web/ | ${TOOL}/data/x x3`,
  ],
  // Four actions within one second, with times in whole seconds.
  "fault-5.jsonl": [
    "coarse: 4 3 1",
    `coarse | Deployment/web/web | ${TOOL}/data/x x2`,
    "coarse | Deployment/web/web | File chmod | /usr/bin/tool -> /data/x x1",
    "coarse | Deployment/web/web | File unlink | /usr/bin/tool -> /data/x x1",
  ],
  // A collector's own keys next to those of the alert.
  "fault-7.jsonl": ["flat: 1 1 1", `flat | Deployment/web/web | ${TOOL}/data/x x1`],
  // One alert as ten programs keep it, and a log record.
  "fault-8.jsonl": ["wrapped: 1 1 1", `wrapped | Deployment/web/web | ${TOOL}/data/x x1`],
  // A namespace that does not exist is unknown to replay; test/e2e/absent-namespace.test.ts has the cluster.
  "fault-12.jsonl": ["nil: 1 1 1", `nil | Deployment/web/web | ${TOOL}/data/x x1`],
  // A container alert without namespace and pod.
  "fault-6.jsonl": ["lost: 2 1 1", `lost | Container/web/web | ${TOOL}/data/x x2`],
  // One executable by four names, one program by three.
  "fault-9.jsonl": [
    "exec: 3 1 1",
    "exec | Deployment/web/web | Process exec | /usr/bin/runc -> /usr/bin/bash x3",
    "folded: 1 1 1",
    `folded | Deployment/web/web | ${TOOL}/data/..*/key x1`,
    "sh: 4 1 1",
    "sh | Deployment/web/web | File open | /usr/bin/dash -> /data/x x4",
  ],
  // Temporary names outside /tmp.
  "fault-10.jsonl": [
    "temp: 10 5 1",
    `temp | Deployment/web/web | ${TOOL}/etc/app/sed* x2`,
    `temp | Deployment/web/web | ${TOOL}/etc/passwd.* x2`,
    `temp | Deployment/web/web | ${TOOL}/repo/.git/objects/*/tmp_obj_* x2`,
    `temp | Deployment/web/web | ${TOOL}/sys/fs/cgroup/kubepods-pod*.slice/memory.max x2`,
    `temp | Deployment/web/web | ${TOOL}/var/log/containers/web-*_shop_web-*.log x2`,
  ],
  // Workloads with a new name at each run.
  "fault-11.jsonl": [
    "ci: 3 1 1",
    `ci | Pod/runner-42-*/web | ${TOOL}/data/x x3`,
    "job: 3 1 1",
    `job | Job/migrate-*/web | ${TOOL}/data/x x3`,
    "rollout: 3 1 1",
    `rollout | ReplicaSet/web-*/web | ${TOOL}/data/x x3`,
  ],
};

describe("the violations of", () => {
  it.each(Object.entries(TABLES))("%s equal the table", async (name, rows) => {
    expect(toRows(await replayText(read(name)))).toEqual([...rows].sort());
  });
});

it("a collector's keys change nothing in the alert", async () => {
  const [report] = await replayText(read("fault-7.jsonl"));
  expect(report?.policy).toMatchObject({ severity: 5, message: "was touched", tags: ["PCI"] });
  expect(report?.violations).toMatchObject([{ action: "Block", outcome: "Prevented" }]);
});

it.each([
  ["fault-5.jsonl", "4 alerts received = 4 counted + 0 duplicates + 0 throttle notices + 0 rejected\n"],
  ["fault-8.jsonl", "10 alerts received = 1 counted + 9 duplicates + 0 throttle notices + 0 rejected\n"],
])("the totals of %s reconcile", async (name, totals) => {
  expect((await runReplay(read(name))).out).toContain(totals);
});

it("severity, message and tags are those of the rule that matched", async () => {
  const [report] = await replayText(read("fault-2.jsonl"));
  expect(report?.policy).toMatchObject({ severity: 10, message: "a directory was listed", tags: ["chatter"] });
  expect(report?.summary).toMatchObject({ severity: "critical", open: { severity: "critical" } });
  expect(
    report?.violations.map(({ resource, severity, message, tags }) => ({ resource, severity, message, tags })),
  ).toEqual([
    { resource: "/usr/bin/ls", severity: 1, message: undefined, tags: undefined },
    { resource: "/data/keys", severity: undefined, message: "key material was touched", tags: ["PCI"] },
  ]);
});

describe("two enforcers", () => {
  it.each([
    ["FILE_UNLINK", "SYS_UNLINKAT flags="],
    ["FILE_OPEN", "SYS_OPENAT fd=-100 flags=O_RDONLY"],
    ["FILE_RENAME", "SYS_RENAMEAT2"],
    ["FILE_RMDIR", "SYS_UNLINKAT flags=AT_REMOVEDIR"],
  ])("that report %s and %s count one violation", async (hook, call) => {
    const [line = ""] = read("fault-1.jsonl")
      .split("\n")
      .filter((each) => each.includes("FILE_UNLINK"));
    const alert = JSON.parse(line);
    const bpf = { ...alert, Data: `lsm=${hook}`, Enforcer: "BPFLSM" };
    const apparmor = { ...alert, Data: `syscall=${call}`, Enforcer: "AppArmor", UpdatedTime: "2026-09-21T14:13:30Z" };
    const [report] = await replayText(`${JSON.stringify(bpf)}\n${JSON.stringify(apparmor)}\n`);
    expect(report?.summary).toMatchObject({ occurrences: 2, violations: 1 });
  });
});

it("two Deployments with names that end in a version stay two", async () => {
  const [line = ""] = read("fault-11.jsonl").split("\n");
  const lines = ["payments-v1", "payments-v2"].map((name, i) =>
    JSON.stringify({ ...JSON.parse(line), HostPID: i, Owner: { Ref: "Deployment", Name: name, Namespace: "shop" } }),
  );
  const [report] = await replayText(lines.join("\n"));
  expect(report?.violations.map(({ workload }) => workload.name).sort()).toEqual(["payments-v1", "payments-v2"]);
});
