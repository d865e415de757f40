// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseJsonAlert } from "../../../../src/alerts/decoding/json-decoder.ts";
import { readAlert } from "../../../../src/alerts/decoding/protobuf-decoder.ts";
import { emptyAlert } from "../../../../src/api/alert.ts";
import { parseAlert } from "../../../../tools/kubearmor-node/alerts.ts";
import { encodeAlert } from "../../../../tools/kubearmor-node/wire.ts";
import { parseList } from "../../../support/text-table.ts";

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
  // As types.Log and its JSON tags in KubeArmor/types/types.go print it: key, field of the alert, value of both.
  const fields = parseList(`
    timestamp Timestamp 1765863439 | updatedTime UpdatedTime "2025-12-16T05:37:19.127331Z"
    clusterName ClusterName "default" | hostName HostName "node-1" | nodeID NodeID "f39801455594d78b"
    username UserName "root" | namespaceName NamespaceName "shop" | podName PodName "web-0" | labels Labels "app=web"
    containerID ContainerID "8762eafc" | containerName ContainerName "web" | containerImage ContainerImage "nginx"
    hostPPid HostPPID 11 | hostPid HostPID 12 | ppid PPID 13 | pid PID 14 | uid UID 15
    parentProcessName ParentProcessName "/bin/bash" | processName ProcessName "/usr/bin/apt"
    enforcer Enforcer "BPFLSM" | policyName PolicyName "block-apt" | kubeArmorVersion KubeArmorVersion "v1.7.4"
    severity Severity "5" | tags Tags "NIST,SI-4" | message Message "no apt" | type Type "MatchedPolicy"
    source Source "/bin/bash" | operation Operation "Process" | resource Resource "/usr/bin/apt update" | cwd Cwd "/"
    tty TTY "pts0" | data Data "lsm=SECURITY_BPRM_CHECK" | processHash ProcessHash "aa" | parentHash ParentHash "bb"
    resourceHash ResourceHash "cc" | hashAlgo HashAlgo "sha256" | action Action "Block"
    result Result "Permission denied" | MaxAlertsPerSec MaxAlertsPerSec 10
    DroppingAlertsInterval DroppingAlertsInterval 30
  `).map((item) => {
    const [, key = "", field = "", value = ""] = /^(\w+) (\w+) (.*)$/.exec(item) ?? [];
    return [key, field, JSON.parse(value)] as const;
  });
  const line = {
    ...Object.fromEntries(fields.map(([key, , value]) => [key, value])),
    owner: { ref: "Deployment", name: "web", namespace: "shop" },
    execEvent: { ExecID: "824416229130095", ExecutableName: "bash" },
    atags: [],
    oid: 0,
    eventData: { Lsm: "SECURITY_BPRM_CHECK" },
  };

  it("fills every field", () => {
    const owner = { OwnerRef: "Deployment", OwnerName: "web", OwnerNamespace: "shop" };
    const event = { ExecID: "824416229130095", ExecutableName: "bash" };
    const others = Object.fromEntries(fields.map(([, field, value]) => [field, value]));
    const alert = parseJsonAlert(line);
    expect(alert).toEqual({ ...others, ...owner, ...event, ATags: ["NIST", "SI-4"] });
    expect(Object.keys(alert ?? {}).sort()).toEqual(Object.keys(emptyAlert()).sort());
  });

  it("is finished as the daemon does before it sends", () => {
    const firewall = { ...line, operation: "NetworkFirewall", severity: "0", tags: undefined, atags: ["x"] };
    expect(parseJsonAlert(firewall)).toMatchObject({ Type: "MatchedNetworkPolicy", Severity: "", ATags: [] });
    const sent = { UpdatedTime: "x", Operation: "NetworkFirewall", Type: "T", Severity: "0", Tags: "a", ATags: ["b"] };
    expect(parseJsonAlert(sent)).toEqual({ ...emptyAlert(), ...sent });
  });
});

describe("odd values", () => {
  it.each<[string, unknown, object]>([
    ["null for a list", { PID: 1, ATags: null }, { PID: 1 }],
    ["a list with other things in it", { ATags: ["a", null, 1, ["b"], "c"] }, { ATags: ["a", "c"] }],
    ["an owner of null", { Owner: null }, {}],
    ["an owner that is a text", { Owner: "web" }, {}],
    ["an owner that is a list", { Owner: ["Deployment"] }, {}],
    ["an owner with odd parts", { Owner: { Ref: 5, Namespace: "n" } }, { OwnerRef: "5", OwnerNamespace: "n" }],
    ["an owner with a name of null", { Owner: { Ref: "x", Name: null } }, { OwnerRef: "x" }],
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
    const text = '{"__proto__":{"PodName":"evil"},"constructor":1,"toString":2,"hasOwnProperty":3,"PID":4}';
    expect(parseJsonAlert(JSON.parse(text))).toEqual({ ...emptyAlert(), PID: 4 });
    expect(parseJsonAlert(JSON.parse('{"Owner":{"__proto__":{"Name":"evil"}}}'))).toEqual(emptyAlert());
    expect(Object.hasOwn(Object.prototype, "PodName")).toBe(false);
  });

  const inherited = { __proto__: { PodName: "inherited" } };
  const others = [{}, { pod: "a", cluster_id: "5", HashID: "f1" }, inherited];

  it.each([null, undefined, true, 5, "PodName", [], [{ PodName: "a" }], ...others])("is not an alert: %j", (value) => {
    expect(parseJsonAlert(value)).toBeNull();
  });
});
