// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Owns the reading of an alert's JSON spellings: karmor's and the relay's (CamelCase), the daemon's own log
// (lowerCamel), and copies that others made of them (numbers as text, keys of their own).
// Invariant: never throws, and gives the same result as the wire format for the same alert.

import type { Alert } from "../../api/alert.ts";
import { emptyAlert } from "../../api/alert.ts";
import type { NumberField, TextField } from "./alert-fields.ts";
import { EXEC_EVENT_FIELDS, INT32_FIELDS, OWNER_FIELDS, TEXT_FIELDS } from "./alert-fields.ts";

type Setter = (alert: Alert, value: unknown) => void;
/** A record's fields as KubeArmor's proto spells them, and by key in lower case. Maps, so that `__proto__` is not a key. */
interface Setters {
  exact: ReadonlyMap<string, Setter>;
  lower: ReadonlyMap<string, Setter>;
}

const OWNER = createSetters(
  // OwnerRef is Ref inside of Owner.
  Object.values(OWNER_FIELDS).map((name) => [name.slice("Owner".length), createTextSetter(name)]),
);
const EXEC_EVENT = createSetters(Object.values(EXEC_EVENT_FIELDS).map((name) => [name, createTextSetter(name)]));
const ALERT = createSetters([
  ...Object.values(TEXT_FIELDS).map((name): [string, Setter] => [name, createTextSetter(name)]),
  ...Object.values(INT32_FIELDS).map((name): [string, Setter] => [name, createInt32Setter(name)]),
  ["Timestamp", setTimestamp],
  ["ATags", setTags],
  ["Owner", (alert, value) => void setKnown(OWNER, alert, value)],
  ["ExecEvent", (alert, value) => void setKnown(EXEC_EVENT, alert, value)],
]);

function createSetters(entries: [string, Setter][]): Setters {
  return { exact: new Map(entries), lower: new Map(entries.map(([name, set]) => [name.toLowerCase(), set])) };
}

/**
 * Returns the alert that a parsed JSON value holds, or null when it is not an object or has no key of an alert.
 *
 * A record has one spelling: where a key is as the proto spells it, only such keys are read, since a collector adds
 * keys of its own in lower case; else keys match in any case, and of two the last usable value wins. Unknown keys and
 * values of a wrong type are ignored.
 */
export function parseJsonAlert(value: unknown): Alert | null {
  const alert = emptyAlert();
  if (!setKnown(ALERT, alert, value)) return null;
  if (isDaemonLog(value)) finishAsDaemon(alert);
  if (alert.Data === "") alert.Data = joinEventData(value as Record<string, unknown>);
  return alert;
}

/** Data again from what KubeArmor makes of it (feeder.go, parseDataString), for copies that have no other. */
function joinEventData({ EventData, eventData }: Record<string, unknown>): string {
  const parts = EventData ?? eventData;
  if (typeof parts !== "object" || parts === null || Array.isArray(parts)) return "";
  return Object.entries(parts)
    .filter(([, value]) => typeof value === "string")
    .map(([key, value]) => `${key.charAt(0).toLowerCase()}${key.slice(1)}=${value}`)
    .join(" ")
    .toWellFormed();
}

/** Sets every field that has a setter; returns true if there was one. */
function setKnown(setters: Setters, alert: Alert, value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  let known = false;
  // The daemon spells some keys of its log as the proto does.
  const isExact = !isDaemonLog(value) && Object.keys(value).some((key) => isExactKey(setters, key));
  for (const [key, member] of Object.entries(value)) {
    const set = isExact ? setters.exact.get(key) : setters.lower.get(key.toLowerCase());
    if (set === undefined) continue;
    known = true;
    set(alert, member);
  }
  return known;
}

/** `PID` alone decides nothing: it may be one of a record in capitals. */
function isExactKey({ exact }: Setters, key: string): boolean {
  return exact.has(key) && /[a-z]/.test(key);
}

/** True of an object with a key that only alerts and logs of KubeArmor have, in either of its spellings. */
export function looksLikeAlert(value: object): boolean {
  return Object.keys(value).some((key) => TELLING_KEYS.has(key));
}

const TELLING_KEYS = new Set(
  [
    "UpdatedTime",
    "HostName",
    "NamespaceName",
    "PodName",
    "PolicyName",
    "ContainerID",
    "ProcessName",
    "Operation",
  ].flatMap((key) => [key, key[0]?.toLowerCase() + key.slice(1)]),
);

/** Every line of the daemon's log has this key, and no other source spells it so. */
function isDaemonLog(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "updatedTime");
}

/** Repeats the daemon's conversion between its log and its stream: feeder.go, PushLog. */
function finishAsDaemon(alert: Alert): void {
  if (alert.Operation === "NetworkFirewall") alert.Type = "MatchedNetworkPolicy";
  if (alert.Severity === "0") alert.Severity = "";
  alert.ATags = alert.Tags === "" ? [] : alert.Tags.split(",");
}

function createTextSetter(name: TextField): Setter {
  return (alert, value) => {
    // Half a surrogate pair has no UTF-8, so the wire can't carry it either.
    if (typeof value === "string") alert[name] = value.toWellFormed();
    else if (typeof value === "number" && Number.isFinite(value)) alert[name] = String(value);
  };
}

function createInt32Setter(name: NumberField): Setter {
  return (alert, value) => {
    const number = toInteger(value);
    if (number === (number | 0)) alert[name] = number;
  };
}

function setTimestamp(alert: Alert, value: unknown): void {
  const number = toInteger(value);
  if (Number.isSafeInteger(number)) alert.Timestamp = number;
}

function setTags(alert: Alert, value: unknown): void {
  if (!Array.isArray(value)) return;
  alert.ATags = value.filter((tag) => typeof tag === "string").map((tag) => tag.toWellFormed());
}

/** A number or a decimal text as a number without a negative zero; NaN for all else. */
function toInteger(value: unknown): number {
  if (typeof value === "number") return value + 0;
  return typeof value === "string" && /^[+-]?\d{1,19}$/.test(value) ? Number(value) + 0 : Number.NaN;
}
