// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Alert, emptyAlert } from "../../../../src/api/alert.ts";
import type { Evidence } from "../../../../src/api/v1alpha1.ts";
import { alert, formatTimeAt, hostAlert, violation } from "../../../support/gen.ts";
import { parseList } from "../../../support/text-table.ts";
import { ROOT } from "../../api/crd.ts";
import { createFullReport } from "../../api/full-report.ts";
import { report } from "../fold-alerts.ts";

/** Place of each field of an alert in a report; a path may lead through the first violation (`v`) and its evidence. */
const CARRIED: Record<string, string> = Object.fromEntries(
  parseList(`
    UpdatedTime latest.time | ClusterName latest.cluster | HostName latest.node | NamespaceName metadata.namespace
    OwnerRef v.workload.kind | OwnerName v.workload.name | PodName latest.pod | Labels latest.labels
    ContainerID latest.containerId | ContainerName v.container | ContainerImage latest.image
    HostPPID latest.hostPpid | HostPID latest.hostPid | PPID latest.ppid | PID latest.pid | UID latest.uid
    UserName latest.user | ParentProcessName latest.parent | ProcessName latest.process | PolicyName policy.name
    Severity policy.severity | ATags policy.tags | Message policy.message | Type latest.type | Source latest.command
    Operation v.operation | Resource latest.resource | Data latest.data | Enforcer latest.enforcer | Action v.action
    Result latest.result | Cwd latest.cwd | TTY latest.tty | ExecID latest.execId | ExecutableName latest.execName
    KubeArmorVersion latest.kubearmorVersion | NodeID latest.nodeId | ProcessHash latest.hashes.process
    ParentHash latest.hashes.parent | ResourceHash latest.hashes.resource | HashAlgo latest.hashes.algorithm
  `).map((item) => item.split(" ")),
);
/** Fields that no report has, with the reason. */
const LEFT_OUT: Record<string, string> = {
  Timestamp: "UpdatedTime is the same instant and finer; used where that is missing",
  OwnerNamespace: "says only whether the owner can be believed",
  Tags: "ATags is the same list; used where that is missing",
  MaxAlertsPerSec: "set on throttle notices only, and in their Events",
  DroppingAlertsInterval: "set on throttle notices only, and in their Events",
};

/** An alert in which each field holds a value that no other has. */
function createTellingAlert(): Alert {
  const values: Record<string, unknown> = {};
  for (const [i, [name, value]] of Object.entries(emptyAlert()).entries()) {
    values[name] = typeof value === "string" ? `x-${name.toLowerCase()}` : typeof value === "number" ? 1000 + i : [];
  }
  return {
    ...(values as unknown as Alert),
    UpdatedTime: formatTimeAt(0),
    OwnerNamespace: "x-namespacename",
    Severity: "7",
    ATags: ["x-tag"],
    // Folded in the key, whole in the evidence.
    Resource: "/proc/77/x-resource",
  };
}

function getValueAt(root: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (value as Record<string, unknown>)?.[name], root);
}

describe("every field of an alert", () => {
  it("has a place in the table, which has no others", () => {
    expect([...Object.keys(CARRIED), ...Object.keys(LEFT_OUT)].sort()).toEqual(Object.keys(emptyAlert()).sort());
  });

  const full = report([createTellingAlert()]);
  const v = full.violations[0];
  const root = { ...full, v, latest: v?.latest };
  const sent = createTellingAlert();
  for (const [name, place] of Object.entries(CARRIED)) {
    it(`${name} is in ${place}`, () => {
      const value = sent[name as keyof Alert];
      expect(getValueAt(root, place)).toEqual(name === "Severity" ? 7 : value);
    });
  }

  it("is in the documents", () => {
    const text = readFileSync(join(ROOT, "docs/alert-fields.md"), "utf8");
    const nested = (name: string) => name.replace(/^Owner.*/, "Owner").replace(/^Exec.*/, "ExecEvent");
    const missing = Object.keys(emptyAlert()).filter((name) => !text.includes(`\`${nested(name)}\``));
    expect(missing).toEqual([]);
  });

  it("fills every field that evidence has, but for what only a started program has", () => {
    const names = Object.keys(createFullReport("shop").violations[0]?.latest ?? {});
    const started = violation(alert({ Source: "/bin/bash -c x" })).evidence;
    expect(new Set([...Object.keys(v?.latest ?? {}), ...Object.keys(started)])).toEqual(new Set(names));
  });
});

describe("command, source and resource", () => {
  it.each<[string, Partial<Alert>, Partial<Evidence>]>([
    [
      "of a started program",
      { Source: "/bin/bash -c 'apt update'", Resource: "/usr/bin/apt update" },
      { command: "/usr/bin/apt update", source: "/bin/bash -c 'apt update'" },
    ],
    ["with the starter as a path only", { Source: "/bin/bash" }, { command: "/usr/bin/apt update" }],
    [
      "of an opened file",
      { Operation: "File", Source: "/bin/cat /proc/7/maps", ProcessName: "/bin/cat", Resource: "/proc/7/maps" },
      { command: "/bin/cat /proc/7/maps", resource: "/proc/7/maps" },
    ],
    [
      "of a file whose name folds to itself",
      { Operation: "File", Source: "/bin/cat /etc/x", Resource: "/etc/x" },
      { command: "/bin/cat /etc/x" },
    ],
    [
      "of a connection",
      { Operation: "Network", Source: "/bin/nc", Resource: "b=1 a=2 fd=3" },
      { command: "/bin/nc", resource: "b=1 a=2 fd=3" },
    ],
  ])("%s", (_name, mods, expected) => {
    const { command, source, resource } = violation(alert(mods)).evidence;
    expect({ command, source, resource }).toEqual({
      command: undefined,
      source: undefined,
      resource: undefined,
      ...expected,
    });
  });

  it("are redacted, as is the data", () => {
    const evidence = violation(
      alert({
        Source: "/bin/bash -c 'PGPASSWORD=hunter2 psql'",
        Resource: "/usr/bin/psql --password hunter2",
        Data: "syscall=SYS_EXECVE token=hunter2",
        Cwd: "/x/token=hunter2",
        ParentProcessName: "/x/token=hunter2",
        ProcessName: "/x/token=hunter2",
      }),
    ).evidence;
    expect(JSON.stringify(evidence)).not.toContain("hunter2");
    expect(evidence.command).toBe("/usr/bin/psql --password [REDACTED]");
  });

  it("are redacted before they are cut, so that the cut hides no secret's beginning", () => {
    const line = `/bin/x ${"a".repeat(480)} --password ${"s3cret".repeat(20)}`;
    const { command } = violation(alert({ Resource: line, ProcessName: "/bin/x" })).evidence;
    expect(command).toMatch(/ --password \[REDACTED\]$/);
  });
});

describe("numbers", () => {
  it.each<[string, Partial<Alert>, object]>([
    ["zero is absent", { PID: 0, PPID: 0, HostPID: 0, HostPPID: 0, UID: 5 }, { uid: 5 }],
    ["root is a user where there was a process", { PID: 0, HostPID: 9, UID: 0 }, { hostPid: 9, uid: 0 }],
    ["root is left out where there was none", { PID: 0, HostPID: 0, UID: 0 }, {}],
    ["a negative uid is a large one", { PID: 0, HostPID: 0, UID: -2 }, { uid: -2 }],
    ["what no pid is, is absent", { PID: -1, PPID: 1.5, HostPID: 2 ** 31, HostPPID: Number.NaN, UID: 1e300 }, {}],
    ["the largest", { PID: 2 ** 31 - 1, HostPID: 0, UID: -(2 ** 31) }, { pid: 2_147_483_647, uid: -2_147_483_648 }],
  ])("%s", (_name, mods, expected) => {
    const { pid, ppid, hostPid, hostPpid, uid } = violation(alert(mods)).evidence;
    expect(JSON.parse(JSON.stringify({ pid, ppid, hostPid, hostPpid, uid }))).toEqual(expected);
  });
});

it("text that was empty or blank is absent", () => {
  const evidence = violation(hostAlert({ TTY: " ", Cwd: "", Labels: "\t", HashAlgo: " " })).evidence;
  expect(evidence).not.toHaveProperty("tty");
  expect(evidence).not.toHaveProperty("cwd");
  expect(evidence).not.toHaveProperty("labels");
  expect(evidence).not.toHaveProperty("hashes");
});
