// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Alert } from "../../../src/api/alert.ts";
import { decode, ownTimeUs } from "../../../src/ingest/decode.ts";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";
import type { ViolationFacts } from "../../../src/ingest/violation/violation.ts";
import { alert, formatTimeAt, hostAlert, START_US, violation } from "../../support/gen.ts";
import { parseTable } from "../../support/text-table.ts";

const redact = createRedactor();
const MINUTE_US = 60_000_000;

function decodeAt(from: Alert, arrivalUs = START_US): ViolationFacts {
  const decoded = decode(from, arrivalUs, redact);
  if (decoded.kind !== "violation") throw new Error(`expected a violation, got ${decoded.kind}`);
  return decoded.violation;
}

describe("time", () => {
  const SEEN = 1_700_000_000;

  it.each<[string, Partial<Alert>, number, boolean]>([
    ["UpdatedTime, in microseconds", { UpdatedTime: "2026-11-23T10:00:00.000007Z" }, START_US + 7, true],
    ["UpdatedTime before Timestamp", { UpdatedTime: formatTimeAt(-1), Timestamp: SEEN }, START_US - 1000, true],
    ["Timestamp, in seconds", { UpdatedTime: "", Timestamp: SEEN }, SEEN * 1e6, true],
    ["Timestamp where UpdatedTime is none", { UpdatedTime: "soon", Timestamp: SEEN }, SEEN * 1e6, true],
    ["arrival without either", { UpdatedTime: "", Timestamp: 0 }, START_US, false],
    ["arrival where both are none", { UpdatedTime: "-", Timestamp: -1 }, START_US, false],
    ["5 min ahead are believed", { UpdatedTime: formatTimeAt(300_000) }, START_US + 5 * MINUTE_US, true],
    ["more than 5 min ahead are arrival", { UpdatedTime: formatTimeAt(300_001) }, START_US, true],
    ["Timestamp far ahead is arrival", { UpdatedTime: "", Timestamp: 4_000_000_000 }, START_US, true],
    ["milliseconds for seconds are arrival", { UpdatedTime: "", Timestamp: SEEN * 1000 }, START_US, false],
    ["the past is believed, however far", { UpdatedTime: "2021-01-01T00:00:00.000000Z" }, 1_609_459_200_000_000, true],
  ])("%s", (_name, mods, us, isDated) => {
    const decoded = decode(alert(mods), START_US, redact);
    expect(decoded).toMatchObject({ kind: "violation", timeUs: us });
    expect(decoded.kind === "violation" && decoded.ownUs !== undefined).toBe(isDated);
  });

  it("is not bounded where arrival says nothing, as in a file", () => {
    const future = alert({ UpdatedTime: formatTimeAt(86_400_000) });
    const decoded = decode(future, START_US, redact, Number.POSITIVE_INFINITY);
    expect(decoded).toMatchObject({ timeUs: START_US + 86_400_000_000 });
  });

  it("of its own needs no arrival", () => {
    expect(ownTimeUs(alert({ UpdatedTime: formatTimeAt(5) }))).toBe(START_US + 5000);
    expect(ownTimeUs(alert({ UpdatedTime: "", Timestamp: 7 }))).toBe(7_000_000);
    expect(ownTimeUs(alert({ UpdatedTime: "", Timestamp: 0 }))).toBeUndefined();
  });
});

describe("outcome", () => {
  it.each([
    ["Passed", "Block", "Allowed"],
    ["Removed", "Remove", "Allowed"],
    ["Passed", "Audit", "Allowed"],
    // The policy meant to block, and did not.
    ["Passed", "Audit (Block)", "Allowed"],
    [" passed ", "", "Allowed"],
    ["Permission denied", "Block", "Prevented"],
    ["Operation not permitted", "Block", "Prevented"],
    ["Permission denied", "Allow", "Prevented"],
    ["Permission denied", "Audit", "Prevented"],
    ["anything else", "", "Prevented"],
    ["", "Block", "Unknown"],
    ["  ", "Audit", "Unknown"],
  ])("of Result %j with Action %j is %s", (Result, Action, outcome) => {
    expect(decodeAt(alert({ Result, Action })).identity).toMatchObject({ outcome, action: Action.trim() });
  });
});

describe("scope", () => {
  const named = ["default", "a", "0", "kube-system", "a".repeat(63), "x--y"];
  const unnamed = ["container_namespace", "Default", "a.b", "-a", "a-", "a/b", "../x", "a b", " default", "default\n"];

  it.each(named)("%s has a report of its own", (NamespaceName) => {
    const decoded = decodeAt(alert({ NamespaceName }));
    expect(decoded.namespace).toBe(NamespaceName);
    expect(decoded.identity.namespace).toBe("");
  });

  it.each([...unnamed, "a".repeat(64), "ä", "__proto__"])(
    "%j belongs to the cluster report, which keeps the name",
    (NamespaceName) => {
      const decoded = decodeAt(alert({ NamespaceName }));
      expect(decoded.namespace).toBeUndefined();
      expect(decoded.identity.namespace).toBe(NamespaceName.trim());
    },
  );

  it("of a container without labels is the cluster: Unknown is KubeArmor's word for nothing", () => {
    const decoded = decodeAt(alert({ NamespaceName: "Unknown", PodName: "Unknown", OwnerName: "" }));
    expect(decoded.namespace).toBeUndefined();
    const workload = { kind: "Container", name: "app" };
    expect(decoded).toMatchObject({ pod: "", identity: { namespace: "", workload } });
  });

  it("of a host alert is the cluster, without a name", () => {
    const decoded = decodeAt(hostAlert());
    expect(decoded.namespace).toBeUndefined();
    expect(decoded.identity.namespace).toBe("");
    expect(decoded).toMatchObject({ pod: "", node: "node-1" });
  });
});

describe("source and resource", () => {
  // An empty cell leaves the field as alert() has it, and `none` empties it.
  // alert | Operation | Source | ProcessName | Resource | Data | source and resource of the violation
  const ALERTS = parseTable(`
    a started program | | | | | | /bin/bash | /usr/bin/apt
    a started program with its starter's arguments | | /bin/bash -c x | | /usr/bin/apt -y install curl | | /bin/bash | /usr/bin/apt
    a path with a space, where the process name has it | | | /opt/my app/run | /opt/my app/run --fast | | /bin/bash | /opt/my app/run
    a process name that is another's: the path that ran, not the name | | | /usr/bin/dash | /bin/sh -c x | | /bin/bash | /usr/bin/dash
    a bare name | | | /usr/bin/bash | bash -l | | /bin/bash | /usr/bin/bash
    a process without a path | | | apt | /usr/bin/apt x | | /bin/bash | /usr/bin/apt
    a removed executable | | | /usr/bin/apt (deleted) | | | /bin/bash | /usr/bin/apt
    a program in memory | | /usr/bin/python3 x.py | /usr/bin/python3 | memfd:payload | | /usr/bin/python3 | memfd:payload
    a traced process | | gdb -p 7 | /usr/bin/gdb | /bin/x | syscall=SYS_PTRACE request=PTRACE_ATTACH pid=7 process=/bin/x | /usr/bin/gdb | /bin/x
    a mount | Syscall | | /bin/mount | none | syscall=SYS_MOUNT source=/dev/sda1 target=/mnt/x data= | /bin/mount | /mnt/x
    a file named after the pod | File | | /bin/cat | /data/web-1/x | | /bin/cat | /data/*/x
    no resource, but a process name | | | /tmp/x | none | | /bin/bash | /tmp/x
    no source, but a parent | | none | | | | /bin/bash | /usr/bin/apt
    a file | File | /bin/cat /etc/x | /bin/cat | /etc/x y | | /bin/cat | /etc/x y
    a file under /proc | File | /bin/cat /proc/7/maps | /bin/cat | /proc/7/maps | | /bin/cat | /proc/*/maps
    a network call | Network | /bin/nc -l | /bin/nc | sin_port=53 sa_family=AF_INET fd=3 sin_addr=10.0.0.10 | syscall=SYS_CONNECT fd=3 | /bin/nc | port=53 peer=10.0.0.10
    a domain | Network | /bin/curl x | /bin/curl | g.co | | /bin/curl | g.co
    a firewall | NetworkFirewall | none | none | INGRESS | SourceIP=192.0.2.1 SourcePort=40001 DestinationIP=198.51.100.1 DestinationPort=22 Protocol=TCP | | protocol=tcp port=22
    a device | Device | none | none | USB MASS-STORAGE | | | USB MASS-STORAGE
    a system call on nothing | Syscall | /sbin/x 1 | /sbin/x | none | | /sbin/x |
    an unknown operation | Quantum | /x | /x | /proc/5/q | | /x | /proc/*/q
    a secret | File | /x | /x | /a?password=hunter2 | | /x | /a?password=[REDACTED]
    a secret in a process name | | | /x/token=hunter2 | none | | /bin/bash | /x/token=[REDACTED]
  `);

  it.each(ALERTS)("of %s", (_name, ...cells) => {
    const [source, resource] = cells.slice(-2);
    const fields = ["Operation", "Source", "ProcessName", "Resource", "Data"]
      .map((name, i) => [name, cells[i] === "none" ? "" : cells[i]])
      .filter((_field, i) => cells[i] !== "");
    expect(decodeAt(alert(Object.fromEntries(fields))).identity).toMatchObject({ source, resource });
  });

  it.each<[string, Partial<Alert>, string]>([
    ["a parent by its path", { Source: "sh", ParentProcessName: "/usr/bin/dash" }, "/usr/bin/dash"],
    ["neither", { Source: "", ParentProcessName: "" }, ""],
    ["a bare source", { Source: "bash", ParentProcessName: "" }, "bash"],
  ])("of %s", (_name, mods, source) => {
    expect(decodeAt(alert(mods)).identity).toMatchObject({ source, resource: "/usr/bin/apt" });
  });

  it("have no secret where they come from Data", () => {
    const call = "syscall=SYS_MOUNT source=x target=/mnt/password=hunter2secret filesystem=x";
    const mount = alert({ Operation: "Syscall", Resource: "", Data: call });
    expect(decodeAt(mount).identity.resource).toBe("/mnt/password=[REDACTED]");
    const Data = "kfunc=UDP_SENDSKB domain=akiaiosfodnn7example.evil.test qtype=A";
    const query = alert({ Operation: "Network", Resource: "sa_family=AF_INET sin_port=53", Data });
    const named = alert({ Operation: "Network", Resource: "akiaiosfodnn7example.evil.test", Data });
    expect(decodeAt(query).identity.resource).toBe(decodeAt(named).identity.resource);
  });

  it("are the same for the same activity of any enforcer", () => {
    const apparmor = alert({ Enforcer: "AppArmor", Data: "syscall=SYS_EXECVE", PPID: 3, Labels: "a=1,b=2" });
    const hook = { Enforcer: "BPFLSM", Data: "lsm=SECURITY_BPRM_CHECK" };
    const bpf = alert({ ...hook, HostPID: 99, PID: 98, Labels: "b=2,a=1", TTY: "pts0" });
    expect(violation(apparmor).key).toBe(violation(bpf).key);
  });
});
