// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Alerts for the KubeArmor node server: read from JSON, made from nothing, stamped again, varied.
// Invariant: never imports from src/, so a mistake in the operator's reader can't hide behind the same mistake here.

import { readFileSync } from "node:fs";

const STRING_FIELDS = [
  "UpdatedTime",
  "ClusterName",
  "HostName",
  "NodeID",
  "NamespaceName",
  "PodName",
  "Labels",
  "ContainerID",
  "ContainerName",
  "ContainerImage",
  "UserName",
  "ParentProcessName",
  "ProcessName",
  "Cwd",
  "TTY",
  "PolicyName",
  "Severity",
  "Tags",
  "Message",
  "Type",
  "Source",
  "Operation",
  "Resource",
  "Data",
  "Enforcer",
  "Action",
  "Result",
  "KubeArmorVersion",
  "ProcessHash",
  "ParentHash",
  "ResourceHash",
  "HashAlgo",
] as const;

const INTEGER_FIELDS = [
  "Timestamp",
  "HostPPID",
  "HostPID",
  "PPID",
  "PID",
  "UID",
  "MaxAlertsPerSec",
  "DroppingAlertsInterval",
] as const;

/** An alert in KubeArmor's own spelling and nesting; a field that is absent is not on the wire. */
export type WireAlert = {
  [F in (typeof STRING_FIELDS)[number]]?: string;
} & {
  [F in (typeof INTEGER_FIELDS)[number]]?: number;
} & {
  ATags?: string[];
  Owner?: { Ref?: string; Name?: string; Namespace?: string };
  ExecEvent?: { ExecID?: string; ExecutableName?: string };
  EventData?: Record<string, string>;
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readText(value: unknown, where: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error(`${where}: expected text, found ${JSON.stringify(value)}`);
}

function readInteger(value: unknown, where: string): number {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isSafeInteger(number)) return number;
  throw new Error(`${where}: expected an integer, found ${JSON.stringify(value)}`);
}

function readTextMap(value: unknown, where: string): Record<string, string> {
  if (!isObject(value)) throw new Error(`${where}: expected an object, found ${JSON.stringify(value)}`);
  return Object.fromEntries(Object.entries(value).map(([key, v]) => [key, readText(v, `${where}.${key}`)]));
}

/**
 * Returns the alert that one parsed JSON record of karmor or of the relay's stdout describes.
 *
 * Integers may be decimal strings, `null` is absence, fields that KubeArmor's message doesn't have are left out.
 * Throws, naming `where` and the field, where a value can't be what the field holds.
 */
export function parseAlert(record: unknown, where = "alert"): WireAlert {
  if (!isObject(record)) throw new Error(`${where}: expected an object, found ${JSON.stringify(record)}`);
  const alert: WireAlert = {};
  for (const field of STRING_FIELDS) {
    const value = record[field] ?? undefined;
    if (value !== undefined) alert[field] = readText(value, `${where}.${field}`);
  }
  for (const field of INTEGER_FIELDS) {
    const value = record[field] ?? undefined;
    if (value !== undefined) alert[field] = readInteger(value, `${where}.${field}`);
  }
  const { ATags, Owner, ExecEvent, EventData } = record;
  if (Array.isArray(ATags)) alert.ATags = ATags.map((tag) => readText(tag, `${where}.ATags`));
  // KubeArmor sends no owner at all when its three parts are empty.
  const owner = readTextMap(Owner ?? {}, `${where}.Owner`);
  if (Object.values(owner).some((part) => part !== "")) alert.Owner = owner;
  if (ExecEvent !== undefined && ExecEvent !== null) alert.ExecEvent = readTextMap(ExecEvent, `${where}.ExecEvent`);
  if (EventData !== undefined && EventData !== null) alert.EventData = readTextMap(EventData, `${where}.EventData`);
  return alert;
}

/** Reads a file of alerts, one JSON record a line; empty lines are skipped. Throws, naming file and line, on the first bad one. */
export function readAlerts(path: string | URL): WireAlert[] {
  const alerts: WireAlert[] = [];
  for (const [index, line] of readFileSync(path, "utf8").split("\n").entries()) {
    if (line.trim() === "") continue;
    const where = `${path instanceof URL ? path.pathname : path}:${index + 1}`;
    let record: unknown;
    try {
      record = JSON.parse(line);
    } catch (cause) {
      throw new Error(`${where}: no JSON`, { cause });
    }
    alerts.push(parseAlert(record, where));
  }
  return alerts;
}

/** Returns a blocked exec in a pod, as KubeArmor with BPF-LSM reports it; `fields` replace or add. */
export function makeAlert(fields: WireAlert = {}): WireAlert {
  return {
    Timestamp: 1_700_000_000,
    UpdatedTime: "2023-11-14T22:13:20.000000Z",
    ClusterName: "default",
    HostName: "node-1",
    NamespaceName: "shop",
    Owner: { Ref: "Deployment", Name: "web", Namespace: "shop" },
    PodName: "web-7c9d8f6b5-abcde",
    Labels: "app=web",
    ContainerID: "8762eafc25a35ab90089f79703b86659989e8e547c2c029fb60f55d884355000",
    ContainerName: "web",
    ContainerImage: "docker.io/library/nginx:1.27",
    HostPPID: 4100,
    HostPID: 4101,
    PPID: 41,
    PID: 42,
    ParentProcessName: "/bin/dash",
    ProcessName: "/usr/bin/apt",
    PolicyName: "block-pkg-mgmt-tools-exec",
    Severity: "5",
    Tags: "NIST,SI-4",
    ATags: ["NIST", "SI-4"],
    Message: "package management is not allowed here",
    Type: "MatchedPolicy",
    Source: "/bin/dash",
    Operation: "Process",
    Resource: "/usr/bin/apt update",
    Data: "lsm=SECURITY_BPRM_CHECK",
    EventData: { Lsm: "SECURITY_BPRM_CHECK" },
    Enforcer: "BPFLSM",
    Action: "Block",
    Result: "Permission denied",
    Cwd: "/",
    ExecEvent: { ExecID: "0", ExecutableName: "apt" },
    ...fields,
  };
}

/** Returns the same exec on the node itself, in no container. */
export function makeHostAlert(fields: WireAlert = {}): WireAlert {
  const none = { NamespaceName: "", Owner: {}, PodName: "", Labels: "", ContainerID: "", ContainerName: "" };
  return makeAlert({ ...none, ContainerImage: "", Type: "MatchedHostPolicy", ...fields });
}

// A flood asks for the same millisecond many times over.
let lastMs = Number.NaN;
let lastMsText = "";

/** Returns the time, in microseconds since the epoch, as KubeArmor writes it: always UTC, six digits, a literal Z. */
export function formatUpdatedTime(us: number): string {
  const ms = Math.floor(us / 1000);
  if (ms !== lastMs) {
    lastMs = ms;
    lastMsText = new Date(ms).toISOString().slice(0, -1);
  }
  return `${lastMsText}${String(us % 1000).padStart(3, "0")}Z`;
}

/**
 * Returns the alert as if it had happened at `nowUs` (microseconds since the epoch).
 *
 * With `pid`, process ids follow where the alert has any: what has none (USB, network firewall) gets none.
 */
export function restamp(alert: WireAlert, nowUs: number, pid?: number): WireAlert {
  const stamped: WireAlert = { ...alert, Timestamp: Math.floor(nowUs / 1e6), UpdatedTime: formatUpdatedTime(nowUs) };
  if (pid !== undefined && (alert.HostPID ?? 0) > 0) stamped.HostPID = pid;
  if (pid !== undefined && (alert.PID ?? 0) > 0) stamped.PID = pid;
  return stamped;
}

/**
 * Returns every alert in `pods` × `resources` variants: other pods of the same workload, other files and programs.
 *
 * Host alerts keep their (absent) pod, and only Process and File alerts vary in their resource.
 * The first variant of each is the alert itself. Deterministic.
 */
export function spread(alerts: readonly WireAlert[], pods: number, resources: number): WireAlert[] {
  const variants: WireAlert[] = [];
  for (const alert of alerts) {
    const podCount = alert.PodName && alert.ContainerID ? pods : 1;
    const resourceCount = alert.Operation === "Process" || alert.Operation === "File" ? resources : 1;
    for (let pod = 0; pod < podCount; pod++)
      for (let resource = 0; resource < resourceCount; resource++)
        variants.push(withResource(withPod(alert, pod), resource));
  }
  return variants;
}

function withPod(alert: WireAlert, index: number): WireAlert {
  if (index === 0) return alert;
  const suffix = index.toString(36).padStart(5, "x");
  return {
    ...alert,
    PodName: (alert.PodName ?? "").replace(/[^-]+$/, suffix),
    ContainerID: index.toString(16).padStart(8, "0") + (alert.ContainerID ?? "").slice(8),
  };
}

function withResource(alert: WireAlert, index: number): WireAlert {
  const [path = "", ...args] = (alert.Resource ?? "").split(" ");
  if (index === 0 || path === "") return alert;
  // Letters, because a reader may well fold digits.
  const letters = index.toString(26).replace(/./g, (digit) => "abcdefghijklmnopqrstuvwxyz"[parseInt(digit, 26)]!);
  return { ...alert, Resource: [`${path.replace(/\/$/, "")}-${letters}`, ...args].join(" ") };
}
