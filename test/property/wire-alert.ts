// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Any alert that KubeArmor's message can hold, as an arbitrary.

import fc from "fast-check";
import { INT32_FIELDS, TEXT_FIELDS } from "../../src/alerts/decoding/alert-fields.ts";

/** An alert in KubeArmor's own spelling and nesting; absent fields are not on the wire. */
export interface WireAlert {
  Timestamp?: bigint | number;
  ATags?: string[];
  Owner?: { Ref?: string; Name?: string; Namespace?: string };
  ExecEvent?: { ExecID?: string; ExecutableName?: string };
  [field: string]: unknown;
}

// Well-formed texts of every script, short ASCII ones mostly, as alerts have them.
const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
);
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const optional = { requiredKeys: [] };

/** Any alert; its time is a number that JSON can hold. */
export const wireAlert: fc.Arbitrary<WireAlert> = fc.record(
  {
    Timestamp: fc.maxSafeInteger(),
    ...Object.fromEntries(Object.values(TEXT_FIELDS).map((name) => [name, text])),
    ...Object.fromEntries(Object.values(INT32_FIELDS).map((name) => [name, int32])),
    ATags: fc.array(text, { maxLength: 4 }),
    Owner: fc.record({ Ref: text, Name: text, Namespace: text }, optional),
    ExecEvent: fc.record({ ExecID: text, ExecutableName: text }, optional),
  },
  optional,
);
