// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The reports of the 14 real alerts of samples/more.jsonl: shapes that the other samples lack. The tables are written by
// hand from the alerts and from the rules; never fill them in from what the program prints.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parseList } from "../support/text-table.ts";
import { ROOT } from "../unit/api/crd.ts";
import { findFaults } from "../unit/report/report-check.ts";
import { type Replayed, runReplay } from "./pipeline-replay.ts";
import { findReport, formatSummaryRow, formatViolationRows, readRows } from "./report-rows.ts";

/** namespace (- is the cluster), report: occurrences prevented allowed unknown · violations workloads pods nodes · severity */
const REPORTS = `
-                         default-posture                1 0 0 1   1 1 0 0   unknown
-                         wisecow-zero-trust-policy      1 1 0 0   1 1 0 0   unknown
accuknox-dev-cluster-mgmt default-posture                1 0 1 0   1 1 1 1   unknown
agentic-ai                autopol-system-1692077598      1 1 0 0   1 1 1 1   info
default                   default-posture                2 2 0 0   2 1 1 1   unknown
default                   harden-write-under-dev-dir     1 0 1 0   1 1 1 1   medium
default                   prevent-crypto-miners          1 1 0 0   1 1 1 1   critical
jupyter                   default-posture                1 1 0 0   1 1 1 1   unknown
wordpress-mysql           auditing-syscalls              1 0 1 0   1 1 1 1   info
wordpress-mysql           harden-mysql-pkg-mngr-exec     1 1 0 0   1 1 1 1   medium
wordpress-mysql           ksp-nist-ac-18-1-network-audit 1 0 1 0   1 1 1 1   low
wordpress-mysql           wordpress-block-policy         1 1 0 0   1 1 1 1   low
`;

/** report | policy kind | workload | container | operation, verb, action, outcome | source -> resource | pod@node */
const VIOLATIONS = `
-/default-posture | DefaultPosture | Container/Unknown |  | File  Audit Unknown | /usr/lib/cargo/bin/coreutils/ls -> /proc/*/task/*/fd | 
-/wisecow-zero-trust-policy | Unknown | Node/Unknown |  | Capabilities capable Block Prevented |  -> CAP_SYS_ADMIN | 
accuknox-dev-cluster-mgmt/default-posture | DefaultPosture | Deployment/cluster-management-service | istio-proxy | Network socket Audit Allowed |  ->  | cluster-management-service-5b66465cfd-pcpzn@ip-10-0-0-102
agentic-ai/autopol-system-1692077598 | KubeArmorPolicy | Deployment/agentic-ai-strands | agentic-ai-strands | File open Block Prevented | /usr/bin/sandbox_python3.12 -> /root/.aws/..*/credentials | agentic-ai-strands-899dbff46-4nrl6@ubuntu24-k3s1-node2
default/default-posture | DefaultPosture | Deployment/nginx | nginx | Network socket Block Prevented | /usr/bin/ping -> protocol=udp | nginx-77b4fdf86c-x7sdm@node-a
default/default-posture | DefaultPosture | Deployment/nginx | nginx | Process exec Block Prevented | /usr/bin/bash -> /usr/bin/ls | nginx-77b4fdf86c-x7sdm@node-a
default/harden-write-under-dev-dir | KubeArmorPolicy | Deployment/nginx | nginx | File open Audit Allowed | /usr/bin/dash -> /dev/tty | nginx-bf5d5cf98-bwgtv@crc
default/prevent-crypto-miners | KubeArmorPolicy | Deployment/health-check-deployment | health-check | Process exec Block Prevented | /bin/dash -> /tmp/xmrig-6.21.2/xmrig | health-check-deployment-5777c5c54b-xfsjr@worker-node02
jupyter/default-posture | DefaultPosture | Pod/jupyter-user1 | notebook | Process exec Block Prevented | /bin/dash -> /home/jovyan/exploit | jupyter-user1@gke-do-637-cluster-pool-1-6a8519c6-d7x3
wordpress-mysql/auditing-syscalls | KubeArmorPolicy | Deployment/wordpress | wordpress | Syscall unlink Audit Allowed | /usr/bin/unlink -> /var/www/html/myfile.txt | wordpress-7c966b5d85-wvtln@gke-cluster-1-default-pool-37f4c896-8cn6
wordpress-mysql/harden-mysql-pkg-mngr-exec | KubeArmorPolicy | Deployment/mysql | mysql | Process exec Block Prevented | /bin/bash -> /usr/bin/apt-get | mysql-768cb6b7bd-txbvh@ip-10-0-120-36.ec2.internal
wordpress-mysql/ksp-nist-ac-18-1-network-audit | KubeArmorPolicy | Deployment/wordpress | wordpress | File open Audit Allowed | /bin/ls -> /etc/network/if-up.d | wordpress-7c966b5d85-wvtln@gke-cluster-1-default-pool-37f4c896-8cn6
wordpress-mysql/wordpress-block-policy | KubeArmorPolicy | Deployment/wordpress | wordpress | Process exec Block Prevented | /bin/bash -> /usr/bin/apt-get | wordpress-84dbf54bb8-6xpf7@aks-agentpool-24991050-vmss000000
`;

describe("the 14 alerts of samples/more.jsonl", () => {
  let replayed: Replayed;
  const get = (ref: string) => findReport(replayed.reports, ref);

  beforeAll(async () => {
    replayed = await runReplay(readFileSync(join(ROOT, "samples/more.jsonl"), "utf8"));
  });

  it("are 13 alerts and a log record", () => {
    expect(replayed).toMatchObject({
      code: 0,
      err: "",
      out:
        "1 log records skipped (ContainerLog, HostLog)\n" +
        "13 alerts received = 13 counted + 0 duplicates + 0 throttle notices + 0 rejected\n" +
        "12 reports written to DIR\n",
    });
  });

  it("add up to these reports", () => {
    expect(replayed.reports.flatMap(findFaults)).toEqual([]);
    expect(replayed.reports.map(formatSummaryRow).sort()).toEqual(readRows(REPORTS).sort());
  });

  it("are these violations", () => {
    const rows = VIOLATIONS.slice(1, -1).split("\n");
    expect(replayed.reports.flatMap(formatViolationRows).sort()).toEqual(rows.sort());
  });

  it("keep tags with spaces and hide no wallet's address behind a guess", () => {
    expect(get("wordpress-mysql/ksp-nist-ac-18-1-network-audit").policy.tags).toEqual(
      parseList(`
      NIST-800 | AC-18(1) | Networking | Access | NIST_SA | NIST_SA-20
      NIST_SA-20-Customized Development of Critical Components | SA
    `),
    );
    expect(get("default/prevent-crypto-miners").policy).toMatchObject({
      severity: 10,
      tags: ["cryptominer"],
      message: "cryptominer detected and blocked",
    });
    expect(get("default/prevent-crypto-miners").violations[0]?.latest?.command).toMatch(
      /^\/tmp\/xmrig-6\.21\.2\/xmrig /,
    );
  });

  it("carry the name of the cluster where the configuration has one", async () => {
    const lines = readFileSync(join(ROOT, "samples/more.jsonl"), "utf8").split("\n").slice(0, 1);
    const { reports } = await runReplay(lines.join("\n"), "cluster: {name: west-1}");
    expect(reports.map(({ metadata }) => metadata.labels?.["reports.kubearmor.com/cluster"])).toEqual(["west-1"]);
    expect(replayed.reports[0]?.metadata.labels).not.toHaveProperty("reports.kubearmor.com/cluster");
  });

  it("have their own times, and where they have none, that of the one before", () => {
    const seen = (ref: string) => get(ref).summary.firstSeen;
    // Line 7 has whole seconds only: 1712060619.
    expect(seen("jupyter/default-posture")).toBe("2024-04-02T12:23:39.000000Z");
    // Lines 4, 5 and 6 follow line 3; lines 12 and 13 follow line 11.
    for (const ref of [
      "default/prevent-crypto-miners",
      "wordpress-mysql/ksp-nist-ac-18-1-network-audit",
      "wordpress-mysql/auditing-syscalls",
    ])
      expect(seen(ref)).toBe("2024-04-05T17:11:16.812423Z");
    for (const ref of ["-/default-posture", "-/wisecow-zero-trust-policy"])
      expect(seen(ref)).toBe("2025-01-27T11:52:12.518307Z");
  });
});
