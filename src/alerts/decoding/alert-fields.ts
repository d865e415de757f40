// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Field names and numbers of message Alert in KubeArmor's protobuf/kubearmor.proto, for both decoders.
// Invariant: numbers never change; a test compares them with the proto.

import type { Alert } from "../../api/alert.ts";

type FieldsOf<T> = { [K in keyof Alert]: Alert[K] extends T ? K : never }[keyof Alert];

export type TextField = FieldsOf<string>;

export type NumberField = FieldsOf<number>;

export const TEXT_FIELDS: Readonly<Record<number, TextField>> = {
  2: "UpdatedTime",
  3: "ClusterName",
  4: "HostName",
  5: "NamespaceName",
  6: "PodName",
  7: "ContainerID",
  8: "ContainerName",
  13: "PolicyName",
  14: "Severity",
  15: "Tags",
  16: "Message",
  17: "Type",
  18: "Source",
  19: "Operation",
  20: "Resource",
  21: "Data",
  22: "Action",
  23: "Result",
  24: "ContainerImage",
  25: "ParentProcessName",
  26: "ProcessName",
  28: "Enforcer",
  29: "Labels",
  32: "Cwd",
  33: "TTY",
  37: "KubeArmorVersion",
  38: "NodeID",
  39: "ProcessHash",
  40: "ParentHash",
  41: "ResourceHash",
  42: "HashAlgo",
  44: "UserName",
};

/** The one int64 field: Unix seconds. */
export const TIMESTAMP_FIELD = 1;

export const INT32_FIELDS: Readonly<Record<number, NumberField>> = {
  9: "HostPID",
  10: "PPID",
  11: "PID",
  12: "UID",
  27: "HostPPID",
  34: "MaxAlertsPerSec",
  35: "DroppingAlertsInterval",
};

/** The one repeated string field. */
export const ATAGS_FIELD = 30;

/** Message Podowner and the place of its fields in the alert. */
export const OWNER_FIELD = 31;
export const OWNER_FIELDS: Readonly<Record<number, TextField>> = { 1: "OwnerRef", 2: "OwnerName", 3: "OwnerNamespace" };

/** Message ExecEvent and the place of its fields in the alert. */
export const EXEC_EVENT_FIELD = 36;
export const EXEC_EVENT_FIELDS: Readonly<Record<number, TextField>> = { 1: "ExecID", 2: "ExecutableName" };
