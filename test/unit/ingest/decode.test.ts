// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { Alert } from "../../../src/api/alert.ts";
import { decode, ownTimeUs } from "../../../src/ingest/decode.ts";
import { createRedactor } from "../../../src/ingest/evidence/redact.ts";
import type { ViolationFacts } from "../../../src/ingest/violation/violation.ts";
import { alert, formatTimeAt, hostAlert, START_US, violation } from "../../support/gen.ts";

const redact = createRedactor();
const MINUTE_US = 60_000_000;

function decodeAt(from: Alert, arrivalUs = START_US): ViolationFacts {
  const decoded = decode(from, arrivalUs, redact);
  if (decoded.kind !== "violation") throw new Error(`expected a violation, got ${decoded.kind}`);
  return decoded.violation;
}

describe("time", () => {
  it.each<[string, Partial<Alert>, number, boolean]>([
    [
      "UpdatedTime, in microseconds",
      { UpdatedTime: "2026-11-23T09:00:00.000007Z" },
      START_US - 3_600_000_000 + 7,
      true,
    ],
    [
      "UpdatedTime before Timestamp",
      { UpdatedTime: formatTimeAt(-1000), Timestamp: 1_700_000_000 },
      START_US - 1_000_000,
      true,
    ],
    ["Timestamp, in seconds", { UpdatedTime: "", Timestamp: 1_700_000_000 }, 1_700_000_000_000_000, true],
    [
      "Timestamp where UpdatedTime is none",
      { UpdatedTime: "soon", Timestamp: 1_700_000_000 },
      1_700_000_000_000_000,
      true,
    ],
    ["arrival without either", { UpdatedTime: "", Timestamp: 0 }, START_US, false],
    ["arrival where both are none", { UpdatedTime: "-", Timestamp: -1 }, START_US, false],
    ["5 min ahead are believed", { UpdatedTime: formatTimeAt(300_000) }, START_US + 5 * MINUTE_US, true],
    ["more than 5 min ahead are arrival", { UpdatedTime: formatTimeAt(300_001) }, START_US, true],
    ["Timestamp far ahead is arrival", { UpdatedTime: "", Timestamp: 4_000_000_000 }, START_US, true],
    ["milliseconds for seconds are arrival", { UpdatedTime: "", Timestamp: 1_700_000_000_000 }, START_US, false],
    ["the past is believed, however far", { UpdatedTime: "2021-01-01T00:00:00.000000Z" }, 1_609_459_200_000_000, true],
  ])("%s", (_name, mods, us, isDated) => {
    const decoded = decode(alert(mods), START_US, redact);
    expect(decoded).toMatchObject({ kind: "violation", timeUs: us });
    expect(decoded.kind === "violation" && decoded.ownUs !== undefined).toBe(isDated);
  });

  it("is not bounded where arrival says nothing, as in a file", () => {
    const decoded = decode(
      alert({ UpdatedTime: formatTimeAt(86_400_000) }),
      START_US,
      redact,
      Number.POSITIVE_INFINITY,
    );
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
  it.each(["default", "a", "0", "kube-system", "a".repeat(63), "x--y"])(
    "%s has a report of its own",
    (NamespaceName) => {
      const decoded = decodeAt(alert({ NamespaceName }));
      expect(decoded.namespace).toBe(NamespaceName);
      expect(decoded.identity.namespace).toBe("");
    },
  );

  it.each([
    "container_namespace",
    "Default",
    "a.b",
    "-a",
    "a-",
    "a/b",
    "../x",
    "a b",
    " default",
    "default\n",
    "a".repeat(64),
    "ä",
    "__proto__",
  ])("%j belongs to the cluster report, which keeps the name", (NamespaceName) => {
    const decoded = decodeAt(alert({ NamespaceName }));
    expect(decoded.namespace).toBeUndefined();
    expect(decoded.identity.namespace).toBe(NamespaceName.trim());
  });

  it("of a container without labels is the cluster: Unknown is KubeArmor's word for nothing", () => {
    const decoded = decodeAt(alert({ NamespaceName: "Unknown", PodName: "Unknown", OwnerName: "" }));
    expect(decoded.namespace).toBeUndefined();
    expect(decoded).toMatchObject({
      pod: "",
      identity: { namespace: "", workload: { kind: "Container", name: "app" } },
    });
  });

  it("of a host alert is the cluster, without a name", () => {
    const decoded = decodeAt(hostAlert());
    expect(decoded.namespace).toBeUndefined();
    expect(decoded.identity.namespace).toBe("");
    expect(decoded).toMatchObject({ pod: "", node: "node-1" });
  });
});

describe("workload", () => {
  const noOwner = { OwnerRef: "", OwnerName: "", OwnerNamespace: "" };
  it.each<[string, Partial<Alert>, string, string]>([
    ["the owner", {}, "Deployment", "web"],
    ["the pod without one", noOwner, "Pod", "web-1"],
    ["the pod where only a kind is told", { ...noOwner, OwnerRef: "Deployment" }, "Pod", "web-1"],
    // KubeArmor looks owners up by pod name alone: this one belongs to a pod of the same name elsewhere.
    ["the pod where the owner is another namespace's", { OwnerNamespace: "bank" }, "Pod", "web-1"],
    ["the pod where the owner has no namespace", { OwnerNamespace: "" }, "Pod", "web-1"],
    ["the pod itself as its own owner", { OwnerRef: "", OwnerName: "web-1" }, "Pod", "web-1"],
    ["the pod as KubeArmor told it once", { OwnerRef: "Pod", OwnerName: "web-1" }, "Pod", "web-1"],
    ["an owner of unknown kind", { OwnerRef: "" }, "Unknown", "web"],
    ["nobody", { ...noOwner, PodName: "" }, "Pod", "Unknown"],
    ["a container outside Kubernetes", { ...noOwner, NamespaceName: "container_namespace" }, "Container", "web-1"],
    ["a pod of an unknown namespace", { ...noOwner, NamespaceName: "Unknown" }, "Pod", "web-1"],
    ["an owner of an odd namespace", { NamespaceName: "Odd", OwnerNamespace: "Odd" }, "Deployment", "web"],
    ["white space is no name", { OwnerName: " web ", OwnerRef: " Deployment " }, "Deployment", "web"],
  ])("is %s", (_name, mods, kind, name) => {
    expect(decodeAt(alert(mods)).identity.workload).toEqual({ kind, name });
  });

  it.each([
    ["the node of a host alert", "node-1", "node-1"],
    ["a node that is not told", "", "Unknown"],
  ])("is %s", (_name, HostName, name) => {
    expect(decodeAt(hostAlert({ HostName })).identity.workload).toEqual({ kind: "Node", name });
  });
});

describe("source and resource", () => {
  it.each<[string, Partial<Alert>, string, string]>([
    ["a started program", {}, "/bin/bash", "/usr/bin/apt"],
    [
      "a started program with its starter's arguments",
      { Source: "/bin/bash -c x", Resource: "/usr/bin/apt -y install curl" },
      "/bin/bash",
      "/usr/bin/apt",
    ],
    [
      "a path with a space, where the process name tells it",
      { Resource: "/opt/my app/run --fast", ProcessName: "/opt/my app/run" },
      "/bin/bash",
      "/opt/my app/run",
    ],
    [
      "a process name that is another's",
      // The path that ran, not the name it was called by.
      { Resource: "/bin/sh -c x", ProcessName: "/usr/bin/dash" },
      "/bin/bash",
      "/usr/bin/dash",
    ],
    ["a bare name", { Resource: "bash -l", ProcessName: "/usr/bin/bash" }, "/bin/bash", "/usr/bin/bash"],
    ["a parent by its path", { Source: "sh", ParentProcessName: "/usr/bin/dash" }, "/usr/bin/dash", "/usr/bin/apt"],
    ["a process without a path", { Resource: "/usr/bin/apt x", ProcessName: "apt" }, "/bin/bash", "/usr/bin/apt"],
    ["a removed executable", { ProcessName: "/usr/bin/apt (deleted)" }, "/bin/bash", "/usr/bin/apt"],
    [
      "a program in memory",
      { Resource: "memfd:payload", ProcessName: "/usr/bin/python3", Source: "/usr/bin/python3 x.py" },
      "/usr/bin/python3",
      "memfd:payload",
    ],
    [
      "a traced process",
      {
        Data: "syscall=SYS_PTRACE request=PTRACE_ATTACH pid=7 process=/bin/x",
        Resource: "/bin/x",
        Source: "gdb -p 7",
        ProcessName: "/usr/bin/gdb",
      },
      "/usr/bin/gdb",
      "/bin/x",
    ],
    [
      "a mount",
      {
        Operation: "Syscall",
        Data: "syscall=SYS_MOUNT source=/dev/sda1 target=/mnt/x data=",
        Resource: "",
        ProcessName: "/bin/mount",
      },
      "/bin/mount",
      "/mnt/x",
    ],
    [
      "a file named after the pod",
      { Operation: "File", Resource: "/data/web-1/x", ProcessName: "/bin/cat" },
      "/bin/cat",
      "/data/*/x",
    ],
    ["no resource, but a process name", { Resource: "", ProcessName: "/tmp/x" }, "/bin/bash", "/tmp/x"],
    ["no source, but a parent", { Source: "" }, "/bin/bash", "/usr/bin/apt"],
    ["neither", { Source: "", ParentProcessName: "" }, "", "/usr/bin/apt"],
    ["a bare source", { Source: "bash", ParentProcessName: "" }, "bash", "/usr/bin/apt"],
    [
      "a file",
      { Operation: "File", Source: "/bin/cat /etc/x", ProcessName: "/bin/cat", Resource: "/etc/x y" },
      "/bin/cat",
      "/etc/x y",
    ],
    [
      "a file under /proc",
      { Operation: "File", Source: "/bin/cat /proc/7/maps", ProcessName: "/bin/cat", Resource: "/proc/7/maps" },
      "/bin/cat",
      "/proc/*/maps",
    ],
    [
      "a network call",
      {
        Operation: "Network",
        Data: "syscall=SYS_CONNECT fd=3",
        Source: "/bin/nc -l",
        ProcessName: "/bin/nc",
        Resource: "sin_port=53 sa_family=AF_INET fd=3 sin_addr=10.0.0.10",
      },
      "/bin/nc",
      "port=53 peer=10.0.0.10",
    ],
    [
      "a domain",
      { Operation: "Network", Source: "/bin/curl x", ProcessName: "/bin/curl", Resource: "g.co" },
      "/bin/curl",
      "g.co",
    ],
    [
      "a firewall",
      {
        Operation: "NetworkFirewall",
        Source: "",
        ProcessName: "",
        Resource: "INGRESS",
        Data: "SourceIP=192.0.2.1 SourcePort=40001 DestinationIP=198.51.100.1 DestinationPort=22 Protocol=TCP",
      },
      "",
      "protocol=tcp port=22",
    ],
    [
      "a device",
      { Operation: "Device", Source: "", ProcessName: "", Resource: "USB MASS-STORAGE" },
      "",
      "USB MASS-STORAGE",
    ],
    [
      "a system call on nothing",
      { Operation: "Syscall", Source: "/sbin/x 1", ProcessName: "/sbin/x", Resource: "" },
      "/sbin/x",
      "",
    ],
    [
      "an unknown operation",
      { Operation: "Quantum", Source: "/x", ProcessName: "/x", Resource: "/proc/5/q" },
      "/x",
      "/proc/*/q",
    ],
    [
      "a secret",
      { Operation: "File", Source: "/x", ProcessName: "/x", Resource: "/a?password=hunter2" },
      "/x",
      "/a?password=[REDACTED]",
    ],
    [
      "a secret in a process name",
      { Resource: "", ProcessName: "/x/token=hunter2" },
      "/bin/bash",
      "/x/token=[REDACTED]",
    ],
  ])("of %s", (_name, mods, source, resource) => {
    expect(decodeAt(alert(mods)).identity).toMatchObject({ source, resource });
  });

  it("have no secret where they come from Data", () => {
    const mount = alert({
      Operation: "Syscall",
      Resource: "",
      Data: "syscall=SYS_MOUNT source=x target=/mnt/password=hunter2secret filesystem=x",
    });
    expect(decodeAt(mount).identity.resource).toBe("/mnt/password=[REDACTED]");
    const Data = "kfunc=UDP_SENDSKB domain=akiaiosfodnn7example.evil.test qtype=A";
    const query = alert({ Operation: "Network", Resource: "sa_family=AF_INET sin_port=53", Data });
    const named = alert({ Operation: "Network", Resource: "akiaiosfodnn7example.evil.test", Data });
    expect(decodeAt(query).identity.resource).toBe(decodeAt(named).identity.resource);
  });

  it("are the same for the same activity of any enforcer", () => {
    const apparmor = alert({ Enforcer: "AppArmor", Data: "syscall=SYS_EXECVE", PPID: 3, Labels: "a=1,b=2" });
    const bpf = alert({
      Enforcer: "BPFLSM",
      Data: "lsm=SECURITY_BPRM_CHECK",
      HostPID: 99,
      PID: 98,
      Labels: "b=2,a=1",
      TTY: "pts0",
    });
    expect(violation(apparmor).key).toBe(violation(bpf).key);
  });
});
