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
});

const inherited = { __proto__: { PodName: "inherited" } };
const others = [{}, { pod: "a", cluster_id: "5", HashID: "f1" }, inherited];

it.each([null, undefined, true, 5, "PodName", [], [{ PodName: "a" }], ...others])("is not an alert: %j", (value) => {
  expect(parseJsonAlert(value)).toBeNull();
});
