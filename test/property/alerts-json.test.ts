// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { loadSync } from "protobufjs";
import { expect, it } from "vitest";
import { parseJsonAlert } from "../../src/alerts/decoding/json-decoder.ts";
import { readAlert } from "../../src/alerts/decoding/protobuf-decoder.ts";
import { emptyAlert } from "../../src/api/alert.ts";
import { checkAll } from "../support/gen.ts";
import { decodeJsonAsOracle } from "./json-oracle.ts";
import { type WireAlert, wireAlert } from "./wire-alert.ts";

const root = loadSync(fileURLToPath(new URL("../../proto/kubearmor.proto", import.meta.url)));
const type = root.lookupType("feeder.Alert");

const fieldNames = Object.keys(emptyAlert());
const nestedNames = ["Owner", "ExecEvent", "Ref", "Name", "Namespace", "updatedTime", "__proto__", "constructor"];

it("gives for any alert what the wire gives, with keys in any order and case", () => {
  const cased = fc.constantFrom<(key: string) => string>(
    (key) => key,
    (key) => key.toUpperCase(),
    (key) => key.slice(0, 2).toLowerCase() + key.slice(2),
  );
  checkAll(100, [wireAlert, fc.infiniteStream(fc.nat()), cased, fc.boolean()], (alert, order, respell, asText) => {
    // The daemon's spelling of this key changes what an alert means; it has a test of its own.
    const keys = Object.keys(alert).filter((key) => key !== "UpdatedTime");
    const places = new Map(keys.map((key) => [key, Number(order.next().value)]));
    keys.sort((a, b) => (places.get(a) ?? 0) - (places.get(b) ?? 0));
    fc.pre(keys.length > 0);
    const known: WireAlert = Object.fromEntries(keys.map((key) => [key, alert[key]]));
    const record = Object.fromEntries(keys.map((key) => [respell(key), spellValue(alert[key], asText)]));
    const onTheWire = readAlert(Buffer.from(type.encode(type.fromObject(known)).finish()));
    expect(parseJsonAlert(JSON.parse(JSON.stringify(record)))).toEqual(onTheWire);
  });
});

/** Values at the bounds of what a field takes, and those that KubeArmor's daemon converts. */
const ODD_VALUES: readonly unknown[] = [
  ...[0, -0, 5, -2, 1.5, 1e3, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 53, Number.POSITIVE_INFINITY],
  ...["", "x", "0", "-0", "+7", "-2", "1.5", "1e3", "2147483648", "9007199254740993", "-9007199254740991"],
  ...["a\ud800b", "\udc00", "NIST,SI-4", null, true, ["a", null, 1, ["b"], "\udc00"], ["x"]],
];

it("is read by the rules with any keys and values", () => {
  const inner = fc.constantFrom(
    "Ref",
    "Name",
    "Namespace",
    "ExecID",
    "ExecutableName",
    "ref",
    "NAME",
    "__proto__",
    "Fd",
  );
  const odd = fc.constantFrom(...ODD_VALUES);
  const value = fc.oneof({ weight: 3, arbitrary: odd }, fc.dictionary(inner, odd, { noNullPrototype: false }));
  const spelled = [...fieldNames, ...nestedNames, "EventData"];
  const key = fc.constantFrom(
    ...spelled.flatMap((name) => [name, name.charAt(0).toLowerCase() + name.slice(1), name.toLowerCase()]),
    // Those that decide how the others are read come more often.
    ...["Operation", "Severity", "Tags", "ATags", "Owner", "EventData", "eventData", "updatedTime", "cluster_id"],
    ...["updatedTime", "operation", "severity", "tags", "PID", "Timestamp"],
  );
  const firewall = fc.constantFrom({}, { updatedTime: "2025", operation: "NetworkFirewall" });
  checkAll(5_000, [fc.dictionary(key, value, { maxKeys: 8, noNullPrototype: false }), firewall], (drawn, more) => {
    const record = { ...drawn, ...more };
    expect(parseJsonAlert(record)).toEqual(decodeJsonAsOracle(record));
  });
});

it("takes any JSON: no alert, or one with fields of the right types", () => {
  const key = fc.oneof(fc.constantFrom(...fieldNames, ...nestedNames), fc.string({ maxLength: 5 }));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1, stringUnit: "binary" }),
      fc.array(tie("value"), { maxLength: 4 }),
      fc.dictionary(key, tie("value"), { maxKeys: 8, noNullPrototype: false }),
    ),
  }));
  const types = Object.fromEntries(Object.entries(emptyAlert()).map(([name, empty]) => [name, typeof empty]));
  checkAll(2_000, [value], (parsed) => {
    const alert = parseJsonAlert(JSON.parse(JSON.stringify(parsed)));
    if (alert === null) return;
    expect(Object.fromEntries(Object.entries(alert).map(([name, held]) => [name, typeof held]))).toEqual(types);
    for (const held of Object.values(alert)) {
      if (typeof held === "number") expect(Number.isSafeInteger(held)).toBe(true);
      if (typeof held === "string") expect(held.isWellFormed()).toBe(true);
      if (Array.isArray(held)) expect(held.every((tag) => typeof tag === "string")).toBe(true);
    }
  });
});

function spellValue(value: unknown, asText: boolean): unknown {
  return asText && typeof value === "number" ? String(value) : value;
}
