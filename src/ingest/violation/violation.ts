// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Types of the domain, and the identity of violations and reports.
// Invariant: every string in here is sanitized, redacted and bounded.

import type { Outcome, PolicyKind, Workload } from "../../api/v1alpha1.ts";
import { assert } from "../../lib/assert.ts";
import { stableHash } from "../../lib/hash.ts";
import type { EpochUs } from "../../lib/time.ts";
import type { RuleFacts } from "./rule.ts";

/** Alerts with an equal identity are the same violation within one report. */
export interface Identity {
  operation: string;
  /** From getVerb; "" where the alert does not say. */
  verb: string;
  action: string;
  outcome: Outcome;
  workload: Workload;
  container: string;
  source: string;
  resource: string;
  /** In the cluster report: the alert's namespace where it can have no report; else "". */
  namespace: string;
  /**
   * Pod and id of a container without a name, as unresolvedContainer makes it, while the name may become known. In memory and
   * in the journal only: violations that differ in nothing else are one in a report.
   */
  unresolved?: string;
}

/** The policy in the alert; fields that the alert lacks are empty. */
export interface PolicyFacts {
  kind: PolicyKind;
  /** 1..10; 0 when the alert has none. */
  severity: number;
  tags: readonly string[];
  message: string;
}

/** Parts of the subject of an alert that are not part of its violation. */
export interface SubjectFacts {
  /** Id of the container; "" in a node's alert. */
  containerId: string;
  /** True where the alert names the pod's owner, also where that is the pod itself. */
  hasOwner: boolean;
}

/** One alert without its time and evidence. */
export interface ViolationFacts {
  /** Namespace of the report; undefined for the cluster report. */
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
  /** Identifies the pod in its report. */
  readonly podKey: string;
}

/** The action of an alert, redacted and sanitized, as reported and as folded for the identity. */
export interface Activity {
  verb: string;
  source: string;
  resource: string;
  foldedSource: string;
  foldedResource: string;
}

/** KubeArmor throttled a container (or, without a pod, a node): an unknown number of its alerts is lost. */
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

/** Stands for a workload's name or an owner's kind that the alert lacks. No object can have this name. */
export const UNKNOWN = "Unknown";

/** Reason why an alert is not counted. Each is a label of `policy_violation_alerts_rejected_total`. */
export type DecodeRejection = "no_policy";

export type Decoded =
  | {
      kind: "violation";
      violation: ViolationFacts;
      /** The time that counts. */
      timeUs: EpochUs;
      /** Time in the alert itself, also an invalid one; undefined without one. */
      ownUs: EpochUs | undefined;
      activity: Activity;
      subject: SubjectFacts;
    }
  | { kind: "throttle"; notice: ThrottleNotice }
  /** `scope`: the reports that it may belong to; null for none. */
  | { kind: "rejected"; reason: DecodeRejection; detail: string; scope: Scope | null };

/** The reports of one namespace; of the cluster where it is undefined. */
export interface Scope {
  namespace: string | undefined;
}

/** Separates parts of a key: a control character, which no sanitized text holds. */
const SEPARATOR = "\u001f";
/** Before the unresolved container of a key. */
const UNRESOLVED_MARK = "\u001e";
const POD_WORKLOAD = ["", "Pod", ""].join(SEPARATOR);

/** The key of a violation within its report: injective, since no part can hold the separator. */
export function identityKey(i: Identity): string {
  const key = [
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
  return i.unresolved === undefined ? key : `${key}${UNRESOLVED_MARK}${i.unresolved}`;
}

export function parseIdentityKey(key: string): Identity {
  const settled = settledKey(key);
  const [operation, verb, action, outcome, kind, name, container, source, resource, namespace] =
    settled.split(SEPARATOR);
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
    ...(settled === key ? {} : { unresolved: key.slice(settled.length + 1) }),
  };
}

/** A key of another version of this program has other parts. */
export function isIdentityKey(key: string): boolean {
  try {
    return identityKey(parseIdentityKey(key)) === key;
  } catch {
    return false;
  }
}

/** The key of a violation without its workload and container. */
export function namelessKey(key: string): string {
  const parts = settledKey(key).split(SEPARATOR);
  return [...parts.slice(0, 4), ...parts.slice(7)].join(SEPARATOR);
}

/** Returns true where the workload is a pod, or the container has no name. */
export function isUnnamedKey(key: string): boolean {
  const [kind, , container] = key.split(SEPARATOR).slice(4, 7);
  return kind === "Pod" || container === "";
}

/** Returns true for the key of a violation in a container that has no name yet. */
export function isUnresolvedKey(key: string): boolean {
  return key.includes(UNRESOLVED_MARK);
}

export function isUnresolvedKeyIn(key: string, pod: string): boolean {
  return key.startsWith(`${UNRESOLVED_MARK}${unresolvedContainer(pod, "")}`, settledKey(key).length);
}

/** The key without its unresolved container, as in a report. */
export function settledKey(key: string): string {
  const at = key.indexOf(UNRESOLVED_MARK);
  return at < 0 ? key : key.slice(0, at);
}

export function settleIdentity(identity: Identity): Identity {
  if (identity.unresolved === undefined) return identity;
  const { unresolved: _, ...settled } = identity;
  return settled;
}

export function unresolvedContainer(pod: string, containerId: string): string {
  return `${pod}/${containerId}`;
}

export function workloadKey({ workload, namespace }: Identity): string {
  return [namespace, workload.kind, workload.name].join(SEPARATOR);
}

/** The key of a pod that is a workload of its own. */
export function podWorkloadKey(pod: string): string {
  return `${POD_WORKLOAD}${pod}`;
}

/** The pod in the key of a workload; undefined where the workload is another object. */
export function podOfWorkload(key: string): string | undefined {
  return key.startsWith(POD_WORKLOAD) ? key.slice(POD_WORKLOAD.length) : undefined;
}

/** The `id` that users see: 16 hex digits of the key's hash. */
export function violationId(key: string): string {
  return stableHash(settledKey(key), 16);
}

/** The key of a report in memory: its scope and its policy. */
export function reportKey(namespace: string | undefined, policyName: string): string {
  return `${namespace ?? ""}${SEPARATOR}${policyName}`;
}

/** Namespace in a report's key; empty for the cluster report. */
export function namespaceInKey(key: string): string {
  return key.slice(0, key.indexOf(SEPARATOR));
}

/** Identifies a pod within a report: the cluster report has pods of several namespaces and nodes. */
export function podKey(namespace: string | undefined, pod: string, node: string): string {
  return namespace === undefined ? `${pod}${SEPARATOR}${node}` : pod;
}
