// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Decoding of one alert into a violation, a throttle notice, or a rejection with its reason.
// Invariant: total. decode returns for any alert; it never throws and never reads a clock.

import type { Alert } from "../api/alert.ts";
import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Outcome, PolicyKind } from "../api/v1alpha1.ts";
import { sanitize } from "../lib/sanitize.ts";
import { type EpochUs, parseMicroTime, secondsToUs } from "../lib/time.ts";
import { makeSafe, type Redact } from "./evidence/redact.ts";
import { toActivity } from "./violation/activity.ts";
import { getRule } from "./violation/rule.ts";
import { type AlertSubject, legalNamespace, toSubject } from "./violation/subject.ts";
import {
  type Activity,
  type Decoded,
  type Identity,
  identityKey,
  type PolicyFacts,
  podKey,
  type Scope,
  unresolvedContainer,
  type ViolationFacts,
} from "./violation/violation.ts";

/** A node's clock may run ahead by this much; a later time is replaced by the arrival's. */
export const MAX_AHEAD_US = 5 * 60 * 1_000_000;
/** Believed time between an alert and its arrival, in milliseconds; more is a clock that is behind. */
export const MAX_DELIVERY_MS = 5000;
/** A tag list longer than this is cut; KubeArmor's own hardening policies have up to 10. */
const MAX_TAGS = 50;
const THROTTLE_OPERATION = "AlertThreshold";
/** `Removed`: a USB device was unplugged (KubeArmor/usbDeviceHandler). */
const HAPPENED = /^(?:passed|removed)$/i;

/**
 * Decodes one alert. `arrivalUs` stands in for a time that is missing, or further ahead than `maxAheadUs` (default
 * 5 min; infinite where arrival says nothing, as in a file).
 */
export function decode(alert: Alert, arrivalUs: EpochUs, redact: Redact, maxAheadUs: EpochUs = MAX_AHEAD_US): Decoded {
  const ownUs = ownTimeUs(alert);
  const timeUs = countedTimeUs(ownUs, arrivalUs, maxAheadUs);
  if (alert.Operation === THROTTLE_OPERATION) return throttleNotice(alert, timeUs);
  if (alert.PolicyName.trim() === "") {
    return { kind: "rejected", reason: "no_policy", detail: describeUnnamed(alert), scope: toScope(alert) };
  }
  const activity = toActivity(alert, makeSafe(redact));
  const subject = toSubject(alert);
  return { kind: "violation", violation: toViolation(alert, subject, activity), timeUs, ownUs, activity, subject };
}

/** The alert's own time: UpdatedTime, else Timestamp; undefined when it has neither. */
export function ownTimeUs(alert: Alert): EpochUs | undefined {
  return parseMicroTime(alert.UpdatedTime) ?? secondsToUs(alert.Timestamp);
}

/** The time that counts: the alert's own where it is possible, else the arrival's. */
export function countedTimeUs(
  ownUs: EpochUs | undefined,
  arrivalUs: EpochUs,
  maxAheadUs: EpochUs = MAX_AHEAD_US,
): EpochUs {
  return ownUs !== undefined && ownUs <= arrivalUs + maxAheadUs ? ownUs : arrivalUs;
}

/** Events of KubeArmor itself and its logs, which a file may hold besides alerts, violate no policy. */
function toScope(alert: Alert): Scope | null {
  return /^(?:SystemEvent|ContainerLog|HostLog)$/.test(alert.Type)
    ? null
    : { namespace: legalNamespace(alert.NamespaceName) };
}

function throttleNotice(alert: Alert, timeUs: EpochUs): Decoded {
  const { namespace, pod, node, container } = toSubject(alert);
  // Process, source and resource of a notice may be stale bytes of another event: only the subject is used.
  return {
    kind: "throttle",
    notice: {
      namespace,
      pod,
      node,
      container,
      timeUs,
      maxAlertsPerSec: alert.MaxAlertsPerSec,
      intervalSeconds: alert.DroppingAlertsInterval,
    },
  };
}

function toViolation(
  alert: Alert,
  { namespace, oddNamespace, pod, node, workload, container, containerId }: AlertSubject,
  { verb, foldedSource, foldedResource }: Activity,
): ViolationFacts {
  const isUnresolved = namespace !== undefined && pod !== "" && container === "" && containerId !== "";
  const identity: Identity = {
    operation: sanitize(alert.Operation),
    verb,
    action: sanitize(alert.Action),
    outcome: toOutcome(alert.Result),
    workload,
    container,
    source: foldedSource,
    resource: foldedResource,
    namespace: oddNamespace,
    ...(isUnresolved ? { unresolved: unresolvedContainer(pod, containerId) } : {}),
  };
  const policy = toPolicy(alert);
  return {
    namespace,
    policyName: sanitize(alert.PolicyName),
    identity,
    key: identityKey(identity),
    policy,
    rule: getRule(policy),
    pod,
    node,
    podKey: podKey(namespace, pod, node),
  };
}

/** Reads Result, not Action: "Audit (Block)" with Passed happened, against the policy's intent. */
function toOutcome(result: string): Outcome {
  const text = result.trim();
  if (text === "") return "Unknown";
  return HAPPENED.test(text) ? "Allowed" : "Prevented";
}

function toPolicy(alert: Alert): PolicyFacts {
  const tags = alert.ATags.length > 0 ? alert.ATags : alert.Tags.split(",", MAX_TAGS);
  return {
    kind: policyKind(alert),
    severity: parseSeverity(alert.Severity),
    tags: tags
      .slice(0, MAX_TAGS)
      .map((tag) => sanitize(tag, 256))
      .filter((tag) => tag !== ""),
    message: sanitize(alert.Message),
  };
}

/** Alerts of cluster-wide and namespaced policies look the same: nothing in the message marks them. */
function policyKind(alert: Alert): PolicyKind {
  if (alert.PolicyName.trim() === DEFAULT_POSTURE) return "DefaultPosture";
  switch (alert.Type) {
    case "MatchedPolicy":
      return "KubeArmorPolicy";
    case "MatchedHostPolicy":
      return "KubeArmorHostPolicy";
    case "MatchedNetworkPolicy":
      return "KubeArmorNetworkPolicy";
    default:
      return "Unknown";
  }
}

/** 1..10 as the policy's schema allows; anything else ("", "-", "Medium", "99") is not a severity. */
function parseSeverity(text: string): number {
  if (!/^\s*\d{1,2}\s*$/.test(text)) return 0;
  const value = Number(text);
  return value >= 1 && value <= 10 ? value : 0;
}

function describeUnnamed(alert: Alert): string {
  const what = [alert.Type, alert.Operation, alert.NamespaceName, alert.PodName, alert.HostName]
    .filter((part) => part !== "")
    .map((part) => sanitize(part, 64));
  return what.length === 0 ? "every field is empty" : `no PolicyName (${what.join(", ")})`;
}
