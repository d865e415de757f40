// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The newest alert of a violation, kept as evidence: every field that says something the violation does not.
// Invariant: redacted, sanitised, bounded; a field that was empty in the alert is absent.

import type { Alert } from "../api/alert.ts";
import type { Evidence } from "../api/v1alpha1.ts";
import { sanitize } from "./sanitize.ts";
import { type EpochUs, formatMicroTime } from "./time.ts";
import type { Identity } from "./violation.ts";

/** What decode has already worked out about the alert. `source` and `resource` are redacted and sanitised. */
export interface EvidenceContext {
  timeUs: EpochUs;
  source: string;
  resource: string;
  identity: Identity;
  /** Sanitises and redacts. */
  safe: (text: string) => string;
}

/** Builds the evidence of one alert. */
export function evidenceOf(alert: Alert, context: EvidenceContext): Evidence {
  const { source, resource, identity, safe } = context;
  const isProcess = alert.Operation === "Process";
  const command = isProcess ? resource : source;
  return {
    time: formatMicroTime(context.timeUs),
    ...textFields(alert, safe),
    ...numberFields(alert),
    ...text("command", command),
    ...text("source", isProcess && source !== identity.source ? source : ""),
    ...text("resource", isProcess || resource === identity.resource ? "" : resource),
    ...text("data", safe(alert.Data)),
    ...hashes(alert),
  };
}

const TEXT_FIELDS = [
  ["type", "Type"],
  ["result", "Result"],
  ["cluster", "ClusterName"],
  ["node", "HostName"],
  ["nodeId", "NodeID"],
  ["pod", "PodName"],
  ["labels", "Labels"],
  ["containerId", "ContainerID"],
  ["image", "ContainerImage"],
  ["process", "ProcessName"],
  ["parent", "ParentProcessName"],
  ["user", "UserName"],
  ["cwd", "Cwd"],
  ["tty", "TTY"],
  ["execId", "ExecID"],
  ["execName", "ExecutableName"],
  ["enforcer", "Enforcer"],
  ["kubearmorVersion", "KubeArmorVersion"],
] as const;

/** What a process chose, and may have put a secret in. */
const CHOSEN_FIELDS: ReadonlySet<string> = new Set(["ProcessName", "ParentProcessName", "Cwd"]);

function textFields(alert: Alert, safe: (text: string) => string): Partial<Evidence> {
  const out: Partial<Record<(typeof TEXT_FIELDS)[number][0], string>> = {};
  for (const [name, field] of TEXT_FIELDS) {
    const value = CHOSEN_FIELDS.has(field) ? safe(alert[field]) : sanitize(alert[field]);
    if (value !== "") out[name] = value;
  }
  return out;
}

function numberFields(alert: Alert): Partial<Evidence> {
  const out: Partial<Evidence> = {};
  if (isId(alert.PID)) out.pid = alert.PID;
  if (isId(alert.PPID)) out.ppid = alert.PPID;
  if (isId(alert.HostPID)) out.hostPid = alert.HostPID;
  if (isId(alert.HostPPID)) out.hostPpid = alert.HostPPID;
  // 0 is root, and absent on the wire is 0 too: it says something only where there was a process. The wire has it
  // signed, so that ids above 2147483647 come as negative numbers.
  if (isInt32(alert.UID) && alert.UID !== 0) out.uid = alert.UID;
  else if (alert.UID === 0 && (isId(alert.PID) || isId(alert.HostPID))) out.uid = 0;
  return out;
}

function isId(value: number): boolean {
  return isInt32(value) && value > 0;
}

/** Whether the API server will take the number: the schema refuses anything else. */
function isInt32(value: number): boolean {
  return (value | 0) === value;
}

function hashes(alert: Alert): Partial<Evidence> {
  const found = {
    ...text("algorithm", sanitize(alert.HashAlgo, 64)),
    ...text("process", sanitize(alert.ProcessHash, 256)),
    ...text("parent", sanitize(alert.ParentHash, 256)),
    ...text("resource", sanitize(alert.ResourceHash, 256)),
  };
  return Object.keys(found).length === 0 ? {} : { hashes: found };
}

function text<K extends string>(name: K, value: string): { [P in K]?: string } {
  return value === "" ? {} : ({ [name]: value } as { [P in K]?: string });
}
