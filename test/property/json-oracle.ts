// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The rules for an alert in JSON once more, as plainly as they can be said, from the alert's own shape and no table.

import { type Alert, emptyAlert } from "../../src/api/alert.ts";

/** Members of the alert that stand in a message of their own on the wire, and so in JSON. */
const NESTED: Readonly<Record<string, Readonly<Record<string, keyof Alert>>>> = {
  owner: { ref: "OwnerRef", name: "OwnerName", namespace: "OwnerNamespace" },
  execevent: { execid: "ExecID", executablename: "ExecutableName" },
};
const INSIDE = Object.values(NESTED).flatMap((names) => Object.values(names));
const FLAT = (Object.keys(emptyAlert()) as (keyof Alert)[]).filter((name) => !INSIDE.includes(name));

const INNER: Readonly<Record<string, string>> = { OwnerRef: "Ref", OwnerName: "Name", OwnerNamespace: "Namespace" };
const SPELLED: ReadonlySet<string> = new Set([...FLAT, "Owner", "ExecEvent"]);

/** Returns what the JSON holds, or null when it is not an alert. */
export function decodeJsonAsOracle(value: unknown): Alert | null {
  if (!isObject(value)) return null;
  const alert: Record<string, unknown> = { ...emptyAlert() };
  let isKnown = false;
  const isExact =
    !Object.hasOwn(value, "updatedTime") && Object.keys(value).some((key) => SPELLED.has(key) && /[a-z]/.test(key));
  for (const [key, member] of Object.entries(value)) {
    if (isExact && !SPELLED.has(key)) continue;
    const lower = key.toLowerCase();
    const name = FLAT.find((each) => each.toLowerCase() === lower);
    if (name !== undefined) {
      isKnown = true;
      alert[name] = toUsable(alert[name], member, name === "Timestamp") ?? alert[name];
    }
    const names = Object.entries(NESTED).find(([each]) => each === lower)?.[1];
    if (names === undefined) continue;
    isKnown = true;
    if (!isObject(member)) continue;
    const inside = Object.entries(names).map(([lowered, name]) => [lowered, INNER[name] ?? name] as const);
    const isInnerExact = Object.keys(member).some((each) => inside.some(([, name]) => name === each));
    for (const [innerKey, inner] of Object.entries(member)) {
      if (isInnerExact && !inside.some(([, name]) => name === innerKey)) continue;
      const innerName = Object.entries(names).find(([each]) => each === innerKey.toLowerCase())?.[1];
      if (innerName !== undefined) alert[innerName] = toUsable("", inner, false) ?? alert[innerName];
    }
  }
  if (!isKnown) return null;
  const read = alert as unknown as Alert;
  const parts = value["EventData"] ?? value["eventData"];
  if (read.Data === "" && isObject(parts)) {
    const texts = Object.entries(parts).filter(([, part]) => typeof part === "string");
    const pairs = texts.map(([key, part]) => `${key.slice(0, 1).toLowerCase()}${key.slice(1)}=${part}`);
    read.Data = pairs.join(" ").toWellFormed();
  }
  return Object.keys(value).includes("updatedTime") ? toDaemonForm(read) : read;
}

/** The value as the kind of `before`; undefined where it can't be had as that. */
function toUsable(before: unknown, value: unknown, isLong: boolean): unknown {
  if (Array.isArray(before)) {
    if (!Array.isArray(value)) return undefined;
    return value.filter((tag): tag is string => typeof tag === "string").map((tag) => tag.toWellFormed());
  }
  const isNumber = typeof value === "number" && Number.isFinite(value);
  if (typeof before === "string") {
    if (typeof value === "string") return value.toWellFormed();
    return isNumber ? `${value}` : undefined;
  }
  const isText = typeof value === "string" && /^[+-]?[0-9]{1,19}$/.test(value);
  if (!isNumber && !isText) return undefined;
  const number = Number(value);
  const limit = isLong ? Number.MAX_SAFE_INTEGER : 2 ** 31 - 1;
  const least = isLong ? -limit : -limit - 1;
  if (!Number.isInteger(number) || number > limit || number < least) return undefined;
  return number === 0 ? 0 : number;
}

function toDaemonForm(alert: Alert): Alert {
  return {
    ...alert,
    Type: alert.Operation === "NetworkFirewall" ? "MatchedNetworkPolicy" : alert.Type,
    Severity: alert.Severity === "0" ? "" : alert.Severity,
    ATags: alert.Tags === "" ? [] : alert.Tags.split(","),
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
