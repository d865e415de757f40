// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One alert in, one of three things out: a violation, a throttle notice, or a rejection with its reason.
// The rules are KubeArmor's as its source shows them; where it leaves a choice, the comment says what was chosen.
// Invariant: total. Whatever the alert holds, decode returns; it never throws and never looks at a clock.

import type { Alert } from "../api/alert.ts";
import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Outcome, PolicyKind, Workload } from "../api/v1alpha1.ts";
import { sanitize } from "../lib/sanitize.ts";
import { type EpochUs, parseMicroTime, secondsToUs } from "../lib/time.ts";
import { foldExecutable, foldPath } from "./fold.ts";
import { firewallResource, networkResource } from "./network.ts";
import { makeSafe, type Redact } from "./redact.ts";
import { verbOf } from "./verb.ts";
import {
  type Activity,
  type Decoded,
  type Identity,
  identityKey,
  type PolicyFacts,
  podKey,
  type Scope,
  UNKNOWN,
  type Violation,
} from "./violation.ts";

/** A node's clock may run ahead by this much; a time further in the future is taken as the arrival's. */
const MAX_AHEAD_US = 5 * 60 * 1_000_000;
/** A tag list longer than this is cut; KubeArmor's own hardening policies have up to 10. */
const MAX_TAGS = 50;
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const THROTTLE_OPERATION = "AlertThreshold";

/**
 * Decodes one alert. `arrivalUs` stands in for a time that is missing, or further ahead than `maxAheadUs` (default
 * 5 min; infinite where arrival says nothing, as in a file).
 */
export function decode(
  alert: Alert,
  arrivalUs: EpochUs,
  redact: Redact,
  maxAheadUs: EpochUs = MAX_AHEAD_US,
): Decoded {
  const ownUs = ownTimeUs(alert);
  const timeUs = countedTimeUs(ownUs, arrivalUs, maxAheadUs);
  if (alert.Operation === THROTTLE_OPERATION) return throttleNotice(alert, timeUs);
  if (alert.PolicyName.trim() === "") {
    return { kind: "rejected", reason: "no_policy", detail: describeUnnamed(alert), scope: scopeOf(alert) };
  }
  const activity = toActivity(alert, makeSafe(redact));
  return { kind: "violation", violation: violationOf(alert, activity), timeUs, ownUs, activity };
}

/** The alert's own time: UpdatedTime, else Timestamp; undefined when it has neither. */
export function ownTimeUs(alert: Alert): EpochUs | undefined {
  return parseMicroTime(alert.UpdatedTime) ?? secondsToUs(alert.Timestamp);
}

/** The time that counts: the alert's own, where it has one that can be. */
export function countedTimeUs(
  ownUs: EpochUs | undefined,
  arrivalUs: EpochUs,
  maxAheadUs: EpochUs = MAX_AHEAD_US,
): EpochUs {
  return ownUs !== undefined && ownUs <= arrivalUs + maxAheadUs ? ownUs : arrivalUs;
}

/** What KubeArmor says of itself, and the logs that a file may hold beside the alerts, broke no policy. */
function scopeOf(alert: Alert): Scope | null {
  return /^(?:SystemEvent|ContainerLog|HostLog)$/.test(alert.Type)
    ? null
    : { namespace: legalNamespace(alert.NamespaceName) };
}

function throttleNotice(alert: Alert, timeUs: EpochUs): Decoded {
  // Process, source and resource of a notice may be stale bytes of another event: only identity is taken.
  return {
    kind: "throttle",
    notice: {
      namespace: legalNamespace(alert.NamespaceName),
      pod: sanitize(alert.PodName),
      node: sanitize(alert.HostName),
      container: sanitize(alert.ContainerName),
      timeUs,
      maxAlertsPerSec: alert.MaxAlertsPerSec,
      intervalSeconds: alert.DroppingAlertsInterval,
    },
  };
}

function violationOf(alert: Alert, { foldedSource, foldedResource }: Activity): Violation {
  const namespace = legalNamespace(alert.NamespaceName);
  const pod = sanitize(alert.PodName);
  const node = sanitize(alert.HostName);
  const identity: Identity = {
    operation: sanitize(alert.Operation),
    verb: verbOf(alert),
    action: sanitize(alert.Action),
    outcome: outcomeOf(alert.Result),
    workload: workloadOf(alert, namespace),
    container: sanitize(alert.ContainerName),
    source: foldedSource,
    resource: foldedResource,
    namespace: namespace === undefined ? sanitize(alert.NamespaceName) : "",
  };
  return {
    namespace,
    policyName: sanitize(alert.PolicyName),
    identity,
    key: identityKey(identity),
    policy: policyOf(alert),
    pod,
    node,
    podKey: podKey(namespace, pod, node),
  };
}

/** Returns what an alert says that was done; `safe` redacts and sanitises. */
export function toActivity(alert: Alert, safe: (text: string) => string): Activity {
  const source = safe(alert.Source);
  const resource = safe(alert.Resource);
  const isProcess = alert.Operation === "Process";
  return {
    source,
    resource,
    foldedSource: foldExecutable(source, safe(isProcess ? alert.ParentProcessName : alert.ProcessName)),
    foldedResource: isProcess
      ? foldExecutable(resource, safe(alert.ProcessName))
      : sanitize(foldResource(alert, verbOf(alert), resource)),
  };
}

/** What happened is in Result, not in Action: "Audit (Block)" with Passed happened, whatever the policy meant. */
function outcomeOf(result: string): Outcome {
  const text = result.trim();
  if (text === "") return "Unknown";
  return text.toLowerCase() === "passed" ? "Allowed" : "Prevented";
}

function legalNamespace(name: string): string | undefined {
  return name.length <= 63 && DNS_LABEL.test(name) ? name : undefined;
}

/**
 * The owner, where it can be believed: KubeArmor looks owners up by pod name alone, so an owner of another namespace
 * belongs to another pod (KubeArmor/core/kubeUpdate.go, OwnerInfo).
 */
function workloadOf(alert: Alert, namespace: string | undefined): Workload {
  const pod = sanitize(alert.PodName);
  const owner = sanitize(alert.OwnerName);
  if (alert.NamespaceName === "" && pod === "") return named("Node", sanitize(alert.HostName));
  if (owner !== "" && alert.OwnerNamespace === alert.NamespaceName) {
    // Ref is empty for bare pods since KubeArmor reads them through an informer.
    const kind = sanitize(alert.OwnerRef) || (owner === pod ? "Pod" : UNKNOWN);
    return named(kind, owner);
  }
  // Outside Kubernetes KubeArmor puts the container's name where the pod's would be.
  return named(
    namespace === undefined && alert.NamespaceName === "container_namespace" ? "Container" : "Pod",
    pod,
  );
}

function named(kind: string, name: string): Workload {
  return { kind, name: name === "" ? UNKNOWN : name };
}

function foldResource(alert: Alert, verb: string, resource: string): string {
  switch (alert.Operation) {
    case "Network":
      return networkResource(resource, verb);
    case "NetworkFirewall":
      return firewallResource(alert, verb);
    default:
      return foldPath(resource);
  }
}

function policyOf(alert: Alert): PolicyFacts {
  const tags = alert.ATags.length > 0 ? alert.ATags : alert.Tags.split(",", MAX_TAGS);
  return {
    kind: policyKind(alert),
    severity: severityOf(alert.Severity),
    tags: tags
      .slice(0, MAX_TAGS)
      .map((tag) => sanitize(tag, 256))
      .filter((tag) => tag !== ""),
    message: sanitize(alert.Message),
  };
}

/** A cluster policy's alert can't be told from a namespaced one's: nothing in the message marks it. */
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
function severityOf(text: string): number {
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
