// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The reader's field tables against proto/kubearmor.proto, which another test holds equal to KubeArmor's.

import { fileURLToPath } from "node:url";
import { loadSync } from "protobufjs";
import { expect, it } from "vitest";
import {
  ATAGS_FIELD,
  EXEC_EVENT_FIELD,
  EXEC_EVENT_FIELDS,
  INT32_FIELDS,
  OWNER_FIELD,
  OWNER_FIELDS,
  TEXT_FIELDS,
  TIMESTAMP_FIELD,
} from "../../../../src/alerts/decoding/alert-fields.ts";

const root = loadSync(fileURLToPath(new URL("../../../../proto/kubearmor.proto", import.meta.url)));

function readFields(message: string, type: string): Record<number, string> {
  const fields = root.lookupType(`feeder.${message}`).fieldsArray;
  return Object.fromEntries(fields.filter((f) => f.type === type && !f.repeated && !f.map).map((f) => [f.id, f.name]));
}

it("knows every field of an alert but EventData, which is skipped", () => {
  expect(TEXT_FIELDS).toEqual(readFields("Alert", "string"));
  expect(INT32_FIELDS).toEqual(readFields("Alert", "int32"));
  expect({ [TIMESTAMP_FIELD]: "Timestamp" }).toEqual(readFields("Alert", "int64"));
  expect({ [OWNER_FIELD]: "Owner" }).toEqual(readFields("Alert", "Podowner"));
  expect({ [EXEC_EVENT_FIELD]: "ExecEvent" }).toEqual(readFields("Alert", "ExecEvent"));
  expect(root.lookupType("feeder.Alert").fields["ATags"]?.id).toBe(ATAGS_FIELD);
  const known = Object.keys(TEXT_FIELDS).length + Object.keys(INT32_FIELDS).length + ["Timestamp", "ATags"].length;
  const nestedAndSkipped = ["Owner", "ExecEvent", "EventData"].length;
  expect(root.lookupType("feeder.Alert").fieldsArray).toHaveLength(known + nestedAndSkipped);
});

it("knows every field of the nested messages", () => {
  const owner = Object.fromEntries(
    Object.entries(readFields("Podowner", "string")).map(([number, name]) => [number, `Owner${name}`]),
  );
  expect(OWNER_FIELDS).toEqual(owner);
  expect(EXEC_EVENT_FIELDS).toEqual(readFields("ExecEvent", "string"));
});
