// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The domain's words: what one alert becomes, and what tells one violation from another.
// Invariant: every string in here is sanitised, redacted and bounded.

import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Outcome, PolicyKind, Workload } from "../api/v1alpha1.ts";
import { assert } from "../lib/assert.ts";
import { stableHash } from "../lib/hash.ts";
import type { EpochUs } from "../lib/time.ts";
import type { RuleFacts } from "./rule.ts";

/** Exactly what makes two alerts the same violation within one report. */
export interface Identity {
  operation: string;
  /** As verbOf gives it; "" where the alert does not say. */
  verb: string;
  action: string;
  outcome: Outcome;
  workload: Workload;
  container: string;
  source: string;
  resource: string;
  /** In the cluster report: the namespace that the alert named though no report can live there; else "". */
  namespace: string;
}

/** What the alert tells about its policy; empty where it tells nothing. */
export interface PolicyFacts {
  kind: PolicyKind;
  /** 1..10; 0 when the alert has none. */
  severity: number;
  tags: readonly string[];
  message: string;
}

/** Who broke which policy and how: all that an alert tells but for the time and the evidence. */
export interface Violation {
  /** The namespace whose report it belongs to; undefined for the cluster report. */
  readonly namespace: string | undefined;
  readonly policyName: string;
  readonly identity: Identity;
  /** `identity` as one string, unambiguous. */
  readonly key: string;
  readonly policy: PolicyFacts;
  readonly rule: RuleFacts;
  /** "" for host alerts. */
  readonly pod: string;
  readonly node: string;
  /** How the pod is told from others in its report. */
  readonly podKey: string;
}

/** The action of an alert, redacted and sanitized, as it was reported and as it is folded into the identity. */
export interface Activity {
  verb: string;
  source: string;
  resource: string;
  foldedSource: string;
  foldedResource: string;
}

/** KubeArmor muted a container (or, without a pod, a node): an unknown number of its alerts is lost. */
export interface ThrottleNotice {
  namespace: string | undefined;
  pod: string;
  node: string;
  container: string;
  timeUs: EpochUs;
  maxAlertsPerSec: number;
  /** Seconds of silence. */
  intervalSeconds: number;
}

/** The name of a workload, and the kind of an owner, that the alert does not tell. No object can have this name. */
export const UNKNOWN = "Unknown";

/** Why an alert is not counted. Each is a label of `policy_violation_alerts_rejected_total`. */
export type DecodeRejection = "no_policy";

export type Decoded =
  | {
      kind: "violation";
      violation: Violation;
      /** The time that counts. */
      timeUs: EpochUs;
      /** What the alert itself said, however impossible; undefined when it said nothing. */
      ownUs: EpochUs | undefined;
      /** For its evidence. */
      activity: Activity;
    }
  | { kind: "throttle"; notice: ThrottleNotice }
  /** `scope`: whose violation it may have been; null: nobody's, since it tells of no activity. */
  | { kind: "rejected"; reason: DecodeRejection; detail: string; scope: Scope | null };

/** The reports of one namespace; undefined: the cluster's. */
export interface Scope {
  namespace: string | undefined;
}

/** Separates parts of a key: a control character, which no sanitised text holds. */
const SEPARATOR = "\u001f";

/** The key of a violation within its report: injective, since no part can hold the separator. */
export function identityKey(i: Identity): string {
  return [
    i.operation,
    i.verb,
    i.action,
    i.outcome,
    i.workload.kind,
    i.workload.name,
    i.container,
    i.source,
    i.resource,
    i.namespace,
  ].join(SEPARATOR);
}

/** The identity that a key stands for. */
export function parseIdentityKey(key: string): Identity {
  const [operation, verb, action, outcome, kind, name, container, source, resource, namespace] =
    key.split(SEPARATOR);
  assert(namespace !== undefined, "a key has all its parts");
  return {
    operation: operation as string,
    verb: verb as string,
    action: action as string,
    outcome: outcome as Outcome,
    workload: { kind: kind as string, name: name as string },
    container: container as string,
    source: source as string,
    resource: resource as string,
    namespace,
  };
}

/** The key of a workload within its report. */
export function workloadKey({ workload, namespace }: Identity): string {
  return [namespace, workload.kind, workload.name].join(SEPARATOR);
}

/** The `id` that users see: 16 hex digits of the key's hash. */
export function violationId(key: string): string {
  return stableHash(key, 16);
}

/** The key of a report in memory: its scope and its policy. */
export function reportKey(namespace: string | undefined, policyName: string): string {
  return `${namespace ?? ""}${SEPARATOR}${policyName}`;
}

/** Namespace in a report's key; empty for the cluster report. */
export function namespaceInKey(key: string): string {
  return key.slice(0, key.indexOf(SEPARATOR));
}

/** How a pod is told from another within a report: in the cluster report pods of several namespaces and nodes meet. */
export function podKey(namespace: string | undefined, pod: string, node: string): string {
  return namespace === undefined ? `${pod}${SEPARATOR}${node}` : pod;
}

const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Kubernetes' bound on an object's name (apimachinery: DNS1123SubdomainMaxLength). */
const MAX_NAME = 253;
const DEFAULT_POSTURE_REPORT = "default-posture";
/** What a made-up name ends in. There is a letter in it, so that a policy may be named after a date. */
const MADE_UP = /-(?=\d*[a-f])[0-9a-f]{8}$/;

/**
 * The name of a policy's report: the policy's own, where an object can have it; `default-posture` for DefaultPosture;
 * else (or where it could be taken for one of these two) a readable slug and 8 hex digits of the policy name's hash.
 */
export function reportName(policyName: string): string {
  if (policyName === DEFAULT_POSTURE) return DEFAULT_POSTURE_REPORT;
  const legal = policyName.length <= MAX_NAME && DNS_SUBDOMAIN.test(policyName);
  if (legal && policyName !== DEFAULT_POSTURE_REPORT && !MADE_UP.test(policyName)) return policyName;
  const slug = policyName
    .toLowerCase()
    .slice(0, 200)
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return `${slug === "" ? "policy" : slug}-${hashWithLetter(policyName)}`;
}

function hashWithLetter(text: string): string {
  let hash = stableHash(text, 8);
  while (/^\d+$/.test(hash)) hash = stableHash(`${hash}${text}`, 8);
  return hash;
}
