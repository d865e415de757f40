// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// proto/kubearmor.proto against the numbers of KubeArmor's protocol, written down a second time:
// a daemon in the field does not learn of a renumbered field.

import { fileURLToPath } from "node:url";
import { loadSync } from "protobufjs";
import { expect, it } from "vitest";
import { parseList } from "../../../support/text-table.ts";

const root = loadSync(fileURLToPath(new URL("../../../../proto/kubearmor.proto", import.meta.url)));

function readNumbers(message: string): Record<number, string> {
  const fields = root.lookupType(`feeder.${message}`).fieldsArray;
  return Object.fromEntries(
    fields.map((f) => [f.id, `${f.name} ${f.map ? "map " : f.repeated ? "repeated " : ""}${f.type}`]),
  );
}

it("numbers the fields of an alert as KubeArmor does", () => {
  const numbers = parseList(`
    1 Timestamp int64 | 2 UpdatedTime string | 3 ClusterName string | 4 HostName string | 5 NamespaceName string
    6 PodName string | 7 ContainerID string | 8 ContainerName string | 9 HostPID int32 | 10 PPID int32 | 11 PID int32
    12 UID int32 | 13 PolicyName string | 14 Severity string | 15 Tags string | 16 Message string | 17 Type string
    18 Source string | 19 Operation string | 20 Resource string | 21 Data string | 22 Action string | 23 Result string
    24 ContainerImage string | 25 ParentProcessName string | 26 ProcessName string | 27 HostPPID int32
    28 Enforcer string | 29 Labels string | 30 ATags repeated string | 31 Owner Podowner | 32 Cwd string
    33 TTY string | 34 MaxAlertsPerSec int32 | 35 DroppingAlertsInterval int32 | 36 ExecEvent ExecEvent
    37 KubeArmorVersion string | 38 NodeID string | 39 ProcessHash string | 40 ParentHash string
    41 ResourceHash string | 42 HashAlgo string | 43 EventData map string | 44 UserName string
  `).map((field) => [field.slice(0, field.indexOf(" ")), field.slice(field.indexOf(" ") + 1)]);
  expect(readNumbers("Alert")).toEqual(Object.fromEntries(numbers));
  expect(readNumbers("Podowner")).toEqual({ 1: "Ref string", 2: "Name string", 3: "Namespace string" });
  expect(readNumbers("ExecEvent")).toEqual({ 1: "ExecID string", 2: "ExecutableName string" });
});

it("numbers requests and answers as KubeArmor does", () => {
  expect(readNumbers("RequestMessage")).toEqual({ 1: "Filter string" });
  expect(readNumbers("NonceMessage")).toEqual({ 1: "nonce int32" });
  expect(readNumbers("ReplyMessage")).toEqual({ 1: "Retval int32" });
});
