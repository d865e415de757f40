// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The newest alert of a violation, kept as evidence: every field that adds something to the violation.
// Invariant: it is redacted, sanitized and bounded when read; fields that were empty in the alert are absent.

import type { Alert } from "../../api/alert.ts";
import { setText } from "../../api/set-text.ts";
import type { Evidence } from "../../api/v1alpha1.ts";
import { sanitize } from "../../lib/sanitize.ts";
import { type EpochUs, formatMicroTime, parseMicroTime } from "../../lib/time.ts";
import { toActivity } from "../violation/activity.ts";
import type { Activity } from "../violation/violation.ts";
import { PackedEvidence } from "./packed-evidence.ts";
import { makeSafe, type Redact } from "./redact.ts";

/** Evidence that can be read at any time. */
export interface KeptEvidence {
  readonly timeUs: EpochUs;
  /** Returns it, redacted and sanitized. The caller must not change it. */
  read(): Evidence;
  /** The alert's bytes, one character each, where it was received as bytes; orders alerts of the same time. */
  readonly text?: string | undefined;
  /** Marks it as kept in a second place, so that it must not change. */
  share(): void;
  /** Its holder dropped it: its weight no longer includes memory shared with others. */
  leave(): void;
  /** Estimated heap use, in bytes. */
  readonly weight: number;
}

/** An alert that may become evidence; valid until the call that receives it returns. */
export interface EvidenceSource {
  /** Returns evidence that lasts. */
  keep(timeUs: EpochUs): KeptEvidence;
}

export function storedEvidence(evidence: Evidence): KeptEvidence {
  return new PackedEvidence(parseMicroTime(evidence.time) ?? 0, evidence);
}

/** A whole alert as evidence; `activity` is the result of decode. */
export class AlertEvidence implements EvidenceSource {
  readonly #alert: Alert;
  readonly #activity: Activity;
  readonly #redact: Redact;

  constructor(alert: Alert, activity: Activity, redact: Redact) {
    this.#alert = alert;
    this.#activity = activity;
    this.#redact = redact;
  }

  keep(timeUs: EpochUs): KeptEvidence {
    return new PackedEvidence(timeUs, toEvidence(this.#alert, timeUs, this.#redact, this.#activity));
  }
}

/** Builds the evidence of an alert counted at `timeUs`, with its fields in EVIDENCE_ORDER. */
export function toEvidence(
  alert: Alert,
  timeUs: EpochUs,
  redact: Redact,
  activity: Activity = toActivity(alert, makeSafe(redact)),
): Evidence {
  const safe = makeSafe(redact);
  const { source, resource } = activity;
  const isProcess = alert.Operation === "Process" && activity.verb === "exec";
  const command = isProcess ? resource : source;
  // Filled field by field: spreading an object into another costs more than the copies.
  const out: Evidence = { time: formatMicroTime(timeUs) };
  setTextFields(out, alert, safe);
  setNumberFields(out, alert);
  setText(out, "command", command);
  if (isProcess && source !== activity.foldedSource) setText(out, "source", source);
  // The resource of a firewall alert is the direction, which is the verb.
  const isSaid = isProcess || alert.Operation === "NetworkFirewall" || resource === activity.foldedResource;
  if (!isSaid) setText(out, "resource", resource);
  setText(out, "data", safe(alert.Data));
  setHashes(out, alert);
  return out;
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

/** Text that a process chose, and may have put a secret in. */
const CHOSEN_FIELDS: ReadonlySet<string> = new Set(["ProcessName", "ParentProcessName", "Cwd"]);

function setTextFields(out: Evidence, alert: Alert, safe: (text: string) => string): void {
  for (const [name, field] of TEXT_FIELDS) {
    const value = alert[field];
    if (value !== "") setText(out, name, CHOSEN_FIELDS.has(field) ? safe(value) : sanitize(value));
  }
}

function setNumberFields(out: Evidence, alert: Alert): void {
  if (isId(alert.PID)) out.pid = alert.PID;
  if (isId(alert.PPID)) out.ppid = alert.PPID;
  if (isId(alert.HostPID)) out.hostPid = alert.HostPID;
  if (isId(alert.HostPPID)) out.hostPpid = alert.HostPPID;
  // 0 is root, but an absent field is 0 too: then there was no process. The field is signed: ids above 2147483647
  // arrive as negative numbers.
  if (isInt32(alert.UID) && alert.UID !== 0) out.uid = alert.UID;
  else if (alert.UID === 0 && (isId(alert.PID) || isId(alert.HostPID))) out.uid = 0;
}

function isId(value: number): boolean {
  return isInt32(value) && value > 0;
}

/** True for a number that the CRD's schema accepts. */
function isInt32(value: number): boolean {
  return (value | 0) === value;
}

function setHashes(out: Evidence, alert: Alert): void {
  const hashes: NonNullable<Evidence["hashes"]> = {};
  setText(hashes, "algorithm", sanitize(alert.HashAlgo, 64));
  setText(hashes, "process", sanitize(alert.ProcessHash, 256));
  setText(hashes, "parent", sanitize(alert.ParentHash, 256));
  setText(hashes, "resource", sanitize(alert.ResourceHash, 256));
  if (Object.keys(hashes).length > 0) out.hashes = hashes;
}
