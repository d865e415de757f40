// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseJsonAlert } from "../../../../src/alerts/decoding/json-decoder.ts";
import { readAlert } from "../../../../src/alerts/decoding/protobuf-decoder.ts";
import { emptyAlert } from "../../../../src/api/alert.ts";
import { parseAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../../tools/kubearmor-node/wire.ts";

const samples = readFileSync(new URL("../../../../samples/alerts.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line): Record<string, unknown> => JSON.parse(line));

describe("karmor's and the relay's spelling", () => {
  it("gives for every sample what the wire gives", () => {
    expect(samples).toHaveLength(26);
    for (const sample of samples) expect(parseJsonAlert(sample)).toEqual(readAlert(encodeAlert(parseAlert(sample))));
  });

  it("reads the same from numbers as texts", () => {
    for (const sample of samples) {
      const texts = Object.fromEntries(
        Object.entries(sample).map(([key, value]) => [key, typeof value === "number" ? String(value) : value]),
      );
      expect(parseJsonAlert(texts)).toEqual(parseJsonAlert(sample));
    }
  });
});

describe("the spelling of the daemon's own log", () => {
  // As types.Log and its JSON tags in KubeArmor/types/types.go print it.
  const line = {
    timestamp: 1765863439,
    updatedTime: "2025-12-16T05:37:19.127331Z",
    clusterName: "default",
    hostName: "node-1",
    nodeID: "f39801455594d78b",
    username: "root",
    namespaceName: "shop",
    owner: { ref: "Deployment", name: "web", namespace: "shop" },
    podName: "web-0",
    labels: "app=web",
    containerID: "8762eafc",
    containerName: "web",
    containerImage: "nginx",
    hostPPid: 11,
    hostPid: 12,
    ppid: 13,
    pid: 14,
    uid: 15,
    execEvent: { ExecID: "824416229130095", ExecutableName: "bash" },
    parentProcessName: "/bin/bash",
    processName: "/usr/bin/apt",
    enforcer: "BPFLSM",
    policyName: "block-apt",
    kubeArmorVersion: "v1.7.4",
    severity: "5",
    tags: "NIST,SI-4",
    atags: [],
    message: "no apt",
    type: "MatchedPolicy",
    source: "/bin/bash",
    operation: "Process",
    resource: "/usr/bin/apt update",
    cwd: "/",
    tty: "pts0",
    oid: 0,
    data: "lsm=SECURITY_BPRM_CHECK",
    eventData: { Lsm: "SECURITY_BPRM_CHECK" },
    processHash: "aa",
    parentHash: "bb",
    resourceHash: "cc",
    hashAlgo: "sha256",
    action: "Block",
    result: "Permission denied",
    MaxAlertsPerSec: 10,
    DroppingAlertsInterval: 30,
  };

  it("fills every field", () => {
    const alert = parseJsonAlert(line);
    expect(alert).toEqual({
      Timestamp: 1765863439,
      UpdatedTime: "2025-12-16T05:37:19.127331Z",
      ClusterName: "default",
      HostName: "node-1",
      NamespaceName: "shop",
      OwnerRef: "Deployment",
      OwnerName: "web",
      OwnerNamespace: "shop",
      PodName: "web-0",
      Labels: "app=web",
      ContainerID: "8762eafc",
      ContainerName: "web",
      ContainerImage: "nginx",
      HostPPID: 11,
      HostPID: 12,
      PPID: 13,
      PID: 14,
      UID: 15,
      UserName: "root",
      ParentProcessName: "/bin/bash",
      ProcessName: "/usr/bin/apt",
      PolicyName: "block-apt",
      Severity: "5",
      Tags: "NIST,SI-4",
      ATags: ["NIST", "SI-4"],
      Message: "no apt",
      Type: "MatchedPolicy",
      Source: "/bin/bash",
      Operation: "Process",
      Resource: "/usr/bin/apt update",
      Data: "lsm=SECURITY_BPRM_CHECK",
      Enforcer: "BPFLSM",
      Action: "Block",
      Result: "Permission denied",
      Cwd: "/",
      TTY: "pts0",
      MaxAlertsPerSec: 10,
      DroppingAlertsInterval: 30,
      ExecID: "824416229130095",
      ExecutableName: "bash",
      KubeArmorVersion: "v1.7.4",
      NodeID: "f39801455594d78b",
      ProcessHash: "aa",
      ParentHash: "bb",
      ResourceHash: "cc",
      HashAlgo: "sha256",
    });
  });

  it("is finished as the daemon does before it sends", () => {
    const firewall = { ...line, operation: "NetworkFirewall", severity: "0", tags: undefined, atags: ["x"] };
    expect(parseJsonAlert(firewall)).toMatchObject({ Type: "MatchedNetworkPolicy", Severity: "", ATags: [] });
    const sent = { UpdatedTime: "x", Operation: "NetworkFirewall", Type: "T", Severity: "0", Tags: "a", ATags: ["b"] };
    expect(parseJsonAlert(sent)).toEqual({
      ...emptyAlert(),
      UpdatedTime: "x",
      Operation: "NetworkFirewall",
      Type: "T",
      Severity: "0",
      Tags: "a",
      ATags: ["b"],
    });
  });
});

describe("odd values", () => {
  it.each<[string, unknown, object]>([
    ["null for a list", { PID: 1, ATags: null }, { PID: 1 }],
    ["a list with other things in it", { ATags: ["a", null, 1, ["b"], "c"] }, { ATags: ["a", "c"] }],
    ["an owner of null", { Owner: null }, {}],
    ["an owner that is a text", { Owner: "web" }, {}],
    ["an owner that is a list", { Owner: ["Deployment"] }, {}],
    [
      "an owner with odd parts",
      { Owner: { Ref: 5, Name: null, Namespace: "n" } },
      { OwnerRef: "5", OwnerNamespace: "n" },
    ],
    ["nested objects for texts and numbers", { PodName: { a: 1 }, PID: [4], Message: true }, {}],
    ["a number for a text", { Severity: 5 }, { Severity: "5" }],
    ["infinity for a text", { Severity: Number.POSITIVE_INFINITY }, {}],
    ["a broken number", { PID: 1.5, PPID: "1.5", UID: "x", HostPID: "" }, {}],
    ["an exponent for a number", { PID: 1e3, PPID: "1e3" }, { PID: 1000 }],
    ["a negative number", { UID: "-2" }, { UID: -2 }],
    ["numbers beyond 32 bits", { PID: 2 ** 31, PPID: -(2 ** 31) - 1, UID: 2 ** 31 - 1 }, { UID: 2 ** 31 - 1 }],
    ["a time beyond 53 bits", { Timestamp: "9007199254740993" }, {}],
    ["a time of 53 bits", { Timestamp: "-9007199254740991" }, { Timestamp: -9007199254740991 }],
    ["half a surrogate pair", { PodName: "a\ud800b", ATags: ["\udc00"] }, { PodName: "a\ufffdb", ATags: ["\ufffd"] }],
    ["two spellings: that of the proto", { PodName: "a", podName: "b" }, { PodName: "a" }],
    ["two spellings that are not the proto's: the last one", { podName: "a", podname: "b" }, { PodName: "b" }],
    ["two spellings, the last one useless", { PodName: "a", podName: null }, { PodName: "a" }],
  ])("%s", (_, value, expected) => {
    expect(parseJsonAlert(value)).toEqual({ ...emptyAlert(), ...expected });
  });

  it("takes Data from EventData where a copy has no other", () => {
    const event = { Syscall: "SYS_UNLINKAT", Flags: "AT_REMOVEDIR", Fd: 3 };
    const data = "syscall=SYS_UNLINKAT flags=AT_REMOVEDIR";
    expect(parseJsonAlert({ Operation: "File", EventData: event })).toMatchObject({ Data: data });
    expect(parseJsonAlert({ operation: "File", eventData: event })).toMatchObject({ Data: data });
    expect(parseJsonAlert({ EventData: event, Data: "lsm=FILE_OPEN" })).toMatchObject({ Data: "lsm=FILE_OPEN" });
    expect(parseJsonAlert({ Operation: "File", EventData: ["x"] })).toMatchObject({ Data: "" });
  });

  it("has no negative zero, which the wire can't have", () => {
    const alert = parseJsonAlert({ PID: -0, Timestamp: -0 });
    expect([alert?.PID, alert?.Timestamp].map((n) => Object.is(n, 0))).toEqual([true, true]);
  });

  it("takes keys of a prototype for unknown ones", () => {
    const value = JSON.parse(
      '{"__proto__":{"PodName":"evil"},"constructor":1,"toString":2,"hasOwnProperty":3,"PID":4}',
    );
    expect(parseJsonAlert(value)).toEqual({ ...emptyAlert(), PID: 4 });
    expect(parseJsonAlert(JSON.parse('{"Owner":{"__proto__":{"Name":"evil"}}}'))).toEqual(emptyAlert());
    expect(Object.hasOwn(Object.prototype, "PodName")).toBe(false);
  });

  it.each([
    null,
    undefined,
    true,
    5,
    "PodName",
    [],
    [{ PodName: "a" }],
    {},
    { pod: "a", cluster_id: "5", HashID: "f1" },
    { __proto__: { PodName: "inherited" } },
  ])("is no alert: %j", (value) => {
    expect(parseJsonAlert(value)).toBeNull();
  });
});
