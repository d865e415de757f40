// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The reports of the 26 real alerts of samples/alerts.jsonl, and of the 14 of samples/more.jsonl, which have shapes that
// those lack. The tables, here and in tools/samples.ts, are written by hand from the alerts and from the rules; never fill
// them in from what the program prints.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_REPORTS } from "../../tools/samples.ts";
import { parseList } from "../support/text-table.ts";
import { ROOT } from "../unit/api/crd.ts";
import { findFaults } from "../unit/report/report-check.ts";
import { type Replayed, runReplay } from "./pipeline-replay.ts";
import { findReport, formatSummaryRow, formatViolationRows, readRows } from "./report-rows.ts";

const SAMPLES = readFileSync(join(ROOT, "samples/alerts.jsonl"), "utf8");
const MORE = readFileSync(join(ROOT, "samples/more.jsonl"), "utf8");

/** report | policy kind | workload | container | operation, verb, action, outcome | source -> resource | pod@node */
const VIOLATIONS = `
-/default-posture | DefaultPosture | Node/gke-my-first-cluster-1-default-pool-9144db50-81gb |  | Syscall setgid Block Prevented | /usr/sbin/sshd ->  | 
-/default-posture | DefaultPosture | Node/gke-my-first-cluster-1-default-pool-9144db50-81gb |  | Syscall setuid Block Prevented | /usr/sbin/sshd ->  | 
-/file-integrity-monitoring | KubeArmorPolicy | Container/ubuntu | ubuntu | File open Block Prevented | /usr/bin/touch -> /usr/lib/test_file | ubuntu@ubuntu-2gb-hel1-2
-/hsp-block-keybd | KubeArmorHostPolicy | Node/archlinux |  | Device attach Block Prevented |  -> USB MASS-STORAGE | 
-/networklimit | KubeArmorHostPolicy | Node/aryan |  | Network  Audit Allowed |  ->  | 
-/nsp-ingress-audit-ssh | KubeArmorNetworkPolicy | Node/ubuntu |  | NetworkFirewall ingress Audit Allowed |  -> protocol=tcp port=22 | 
-/sleep-deny | KubeArmorHostPolicy | Node/gke-my-first-cluster-1-default-pool-9144db50-81gb |  | Process exec Block Prevented | /bin/bash -> /bin/sleep | 
default/audit-all-unlink | KubeArmorPolicy | Pod/ubuntu-1-6779f689b5-jjcvh | nginx | Syscall unlink Audit Allowed | /usr/bin/unlink -> /home/secret.txt | ubuntu-1-6779f689b5-jjcvh@vagrant
default/audit-etc-nginx-access | KubeArmorPolicy | Pod/nginx-8f458dc5b-fl42t | nginx | File open Audit Allowed | /bin/cat -> /etc/nginx/conf.d/default.conf | nginx-8f458dc5b-fl42t@ip-172-31-24-142
default/block-pkg-mgmt-tools-exec | KubeArmorPolicy | Deployment/nginx | nginx | Process exec Audit (Block) Allowed | /usr/bin/bash -> /usr/bin/apt-get | nginx-7c5ddbdf54-pzwbr@minikube
default/block-pkg-mgmt-tools-exec | KubeArmorPolicy | Pod/nginx-8f458dc5b-fl42t | nginx | Process exec Block Prevented | /bin/dash -> /usr/bin/apt | nginx-8f458dc5b-fl42t@ip-172-31-24-142
default/ksp-vault-network | KubeArmorPolicy | Pod/vault-0 | vault | Network socket Audit Allowed | /bin/vault -> family=AF_UNIX type=SOCK_STREAM | vault-0@aks-agentpool-16128849-vmss000000
default/preset-proc-env | KubeArmorPolicy | Deployment/nginx | nginx | File open  Prevented | /usr/bin/cat -> /usr/bin/cat | nginx-6fdb9f946-j6psz@kubearmor-dev-next
multiubuntu/block-dns-query-to-google-subdomains | KubeArmorPolicy | Deployment/ubuntu-1-deployment | ubuntu-1-container | Network resolve Block Prevented | /usr/bin/curl -> google.com | ubuntu-1-deployment-748575cfcc-5bdpq@aryan
multiubuntu/ksp-group-1-proc-path-block | KubeArmorPolicy | Pod/ubuntu-1-deployment-5d6b975744-rrkhh | ubuntu-1-container | Process exec Block Prevented | bash -> /bin/sleep | ubuntu-1-deployment-5d6b975744-rrkhh@kubearmor-dev
multiubuntu/ksp-ubuntu-1-allow-proc-args | KubeArmorPolicy | Deployment/ubuntu-1-deployment | ubuntu-1-container | Process exec Block Prevented | /bin/bash -> /usr/bin/python3.6 | ubuntu-1-deployment-8dc5d8d48-5s8pf@aryan
multiubuntu/ksp-ubuntu-1-cap-net-raw-block | KubeArmorPolicy | Deployment/ubuntu-1-deployment | ubuntu-1-container | Network socket Block Prevented | /usr/sbin/tcpdump -> family=AF_PACKET type=SOCK_RAW protocol=768 | ubuntu-1-deployment-f987bd4d6-xzcb8@worker-node02
multiubuntu/quota-test-policy | KubeArmorNetworkPolicy | Pod/quota-test-deployment-5bc54c58b9-4rpvw |  | NetworkFirewall egress Block Prevented |  -> protocol=icmp peer=8.8.8.8 quota=pod | quota-test-deployment-5bc54c58b9-4rpvw@aryan
my-ext-secret/nginx-secret | KubeArmorPolicy | Pod/nginx-secrets | nginx-web | File open Block Prevented | /usr/bin/cat -> /etc/secrets | nginx-secrets@cluster01-worker
wordpress-mysql/default-posture | DefaultPosture | Pod/wordpress-7c966b5d85-42jwx | wordpress | File open Block Prevented | /bin/ls -> /run/secrets/kubernetes.io/serviceaccount | wordpress-7c966b5d85-42jwx@aditya
wordpress-mysql/harden-mysql-trusted-cert-mod | KubeArmorPolicy | Deployment/mysql | mysql | File rmdir Block Prevented | /bin/rmdir -> /etc/ssl/certs | mysql-74775b4bf4-65nqf@aditya
wordpress-mysql/harden-wordpress-file-integrity-monitoring | KubeArmorPolicy | Pod/wordpress-787f45786f-2q9wf | wordpress | File unlink Block Prevented | /bin/rm -> /sbin/raw | wordpress-787f45786f-2q9wf@aks-agentpool-16128849-vmss000001
wordpress-mysql/harden-wordpress-pkg-mngr-exec | KubeArmorPolicy | Pod/wordpress-787f45786f-2q9wf | wordpress | Process exec Block Prevented | /bin/bash -> /usr/bin/apt | wordpress-787f45786f-2q9wf@aks-agentpool-16128849-vmss000001
wordpress-mysql/harden-wordpress-remote-file-copy | KubeArmorPolicy | Deployment/wordpress | wordpress | Process exec Block Prevented | /bin/bash -> /usr/bin/scp | wordpress-fb448db97-wj7n7@master-node
wordpress-mysql/ksp-block-exec-inside-tmp | KubeArmorPolicy | Deployment/wordpress | wordpress | File open Block Prevented | /bin/bash -> /tmp/sh-thd-* | wordpress-fb448db97-wj7n7@master-node
`;

describe("the 26 sample alerts", () => {
  let replayed: Replayed;
  const get = (ref: string) => findReport(replayed.reports, ref);

  beforeAll(async () => {
    replayed = await runReplay(SAMPLES);
  });

  it("are all understood", () => {
    expect(replayed).toMatchObject({
      code: 0,
      err: "",
      out:
        "26 alerts received = 25 counted + 0 duplicates + 1 throttle notices + 0 rejected\n" +
        "23 reports written to DIR\n",
    });
  });

  it("add up to these reports", () => {
    expect(SAMPLE_REPORTS).toHaveLength(23);
    const rows = SAMPLE_REPORTS.map(([namespace, name, occurrences, prevented, allowed, ...rest]) =>
      [`${namespace || "-"}/${name}`, occurrences, prevented, allowed, 0, ...rest].join(" "),
    );
    expect(replayed.reports.map(formatSummaryRow).sort()).toEqual(rows.sort());
  });

  it("are these violations", () => {
    const rows = VIOLATIONS.slice(1, -1).split("\n");
    expect(rows).toHaveLength(25);
    expect(replayed.reports.flatMap(formatViolationRows).sort()).toEqual(rows.sort());
  });

  it("have their own times, or that of the one before", () => {
    const times = (ref: string) => [get(ref).summary.firstSeen, get(ref).summary.lastSeen];
    expect(times("default/block-pkg-mgmt-tools-exec")).toEqual([
      "2023-06-11T09:19:43.451704Z",
      "2023-12-21T02:19:59.038465Z",
    ]);
    // Lines 7 and 8.
    expect(times("-/default-posture")).toEqual(["2023-08-23T18:08:09.522743Z", "2023-08-23T18:08:09.523964Z"]);
    // Line 22 has no UpdatedTime, but a Timestamp: 1717155559.
    expect(times("-/file-integrity-monitoring")).toEqual([
      "2024-05-31T11:39:19.000000Z",
      "2024-05-31T11:39:19.000000Z",
    ]);
    // Lines 3, 4, 5 follow line 2; line 25 follows line 24.
    for (const ref of [
      "wordpress-mysql/harden-wordpress-pkg-mngr-exec",
      "wordpress-mysql/harden-wordpress-file-integrity-monitoring",
      "default/ksp-vault-network",
    ]) {
      expect(times(ref)).toEqual(["2023-06-11T10:12:51.967519Z", "2023-06-11T10:12:51.967519Z"]);
    }
    expect(times("-/hsp-block-keybd")).toEqual(["2026-05-25T04:14:59.566130Z", "2026-05-25T04:14:59.566130Z"]);
  });

  it("name their policies", () => {
    expect(get("wordpress-mysql/harden-wordpress-pkg-mngr-exec").policy).toEqual({
      name: "harden-wordpress-pkg-mngr-exec",
      kind: "KubeArmorPolicy",
      severity: 5,
      tags: ["NIST", "NIST_800-53_CM-7(4)", "SI-4", "process", "NIST_800-53_SI-4"],
      message: "Alert! Execution of package management process inside container is denied",
    });
    // Line 15 has Tags and no ATags.
    expect(get("wordpress-mysql/harden-wordpress-remote-file-copy").policy.tags).toEqual(
      parseList(`
      MITRE | MITRE_TA0008_lateral_movement | MITRE_TA0010_exfiltration | MITRE_TA0006_credential_access
      MITRE_T1552_unsecured_credentials | NIST_800-53_SI-4(18) | NIST | NIST_800-53 | NIST_800-53_SC-4
    `),
    );
    // Line 13: ATags null, Tags and Message empty, Severity empty.
    expect(get("wordpress-mysql/default-posture").policy).toEqual({ name: "DefaultPosture", kind: "DefaultPosture" });
    expect(get("-/nsp-ingress-audit-ssh").policy).toMatchObject({ severity: 5, message: "New SSH connection!" });
    // Line 26 came without the severity that its policy set.
    expect(get("-/networklimit").policy).toEqual({ name: "networklimit", kind: "KubeArmorHostPolicy" });
  });

  it("keep the evidence", () => {
    // Line 11.
    expect(get("multiubuntu/ksp-ubuntu-1-allow-proc-args").violations[0]?.latest).toEqual({
      time: "2025-12-16T05:37:19.127331Z",
      type: "MatchedPolicy",
      result: "Permission denied",
      cluster: "default",
      node: "aryan",
      pod: "ubuntu-1-deployment-8dc5d8d48-5s8pf",
      labels: "group=group-1,container=ubuntu-1",
      containerId: "4771ac3e9074f1bf8b01038d0cf776960aa44b18edccc0f2b017e8465dedefcd",
      image:
        "docker.io/kubearmor/ubuntu-w-utils:latest@sha256:8c94d921d36698a63e02337302989e8311169b750cc0dd4713e688f3631ab4ba",
      command: "/usr/bin/python3.6 -m pydoc",
      process: "/usr/bin/python3.6",
      parent: "/bin/bash",
      pid: 113,
      ppid: 190507,
      hostPid: 191949,
      hostPpid: 190507,
      uid: 0,
      cwd: "/",
      tty: "pts0",
      execId: "824416229130095",
      execName: "bash",
      enforcer: "BPFLSM",
      kubearmorVersion: "v1.6.5-8-g3d55b346-dirty",
      data: "lsm=SECURITY_BPRM_CHECK",
    });
    // Line 16: folded in the violation, whole here.
    expect(get("wordpress-mysql/ksp-block-exec-inside-tmp").violations[0]?.latest?.resource).toBe(
      "/tmp/sh-thd-2512146865",
    );
    // Line 10: no process, so user id 0 says nothing; the user's name does.
    expect(get("-/nsp-ingress-audit-ssh").violations[0]?.latest).toEqual({
      time: "2026-02-23T04:31:35.104233Z",
      type: "MatchedNetworkPolicy",
      result: "Passed",
      cluster: "default",
      node: "ubuntu",
      nodeId: "f39801455594d78b98b7816e37eed6e526c2342d945ba334f6ab6086b49426ee",
      user: "root",
      enforcer: "NetworkPolicyEnforcer",
      data: "SourceIP=192.168.29.42 SourcePort=53262 DestinationIP=192.168.29.76 DestinationPort=22 Protocol=TCP",
    });
    // Lines 7 and 8 are one violation; the newer is its evidence.
    expect(get("-/default-posture").violations[0]?.latest).toMatchObject({
      data: "syscall=SYS_SETUID userid=0",
      uid: 204,
    });
    // Line 22: the odd namespace and the node stay with the violation.
    expect(get("-/file-integrity-monitoring").violations[0]).toMatchObject({
      namespace: "container_namespace",
      node: "ubuntu-2gb-hel1-2",
    });
  });

  it("are lower bounds nowhere: the throttled pod of line 23 is in no report", () => {
    expect(new Set(replayed.reports.map(({ coverage }) => JSON.stringify(coverage)))).toEqual(
      new Set(['{"gaps":0,"throttleNotices":0,"lowerBound":false}']),
    );
  });

  it("fit the schema", () => {
    expect(replayed.reports.flatMap(findFaults)).toEqual([]);
  });
});

/** namespace (- is the cluster), report: occurrences prevented allowed unknown · violations workloads pods nodes · severity */
const MORE_REPORTS = `
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

/** As VIOLATIONS. */
const MORE_VIOLATIONS = `
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
    replayed = await runReplay(MORE);
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
    expect(replayed.reports.map(formatSummaryRow).sort()).toEqual(readRows(MORE_REPORTS).sort());
  });

  it("are these violations", () => {
    const rows = MORE_VIOLATIONS.slice(1, -1).split("\n");
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
    const lines = MORE.split("\n").slice(0, 1);
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
