// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The report as users see it: reports.kubearmor.com/v1alpha1. A test holds these types equal to crds/.
// Invariant: types only; nothing here runs.

import type { API_GROUP_VERSION, CLUSTER_REPORT_KIND, REPORT_KIND } from "./names.ts";

/** RFC 3339 with microseconds and a literal Z: `2026-11-23T10:00:00.123456Z`. */
export type MicroTime = string;

export type PolicyKind =
  | "KubeArmorPolicy"
  | "KubeArmorClusterPolicy"
  | "KubeArmorHostPolicy"
  | "KubeArmorNetworkPolicy"
  | "DefaultPosture"
  | "Unknown";

/** RFC 3339 in whole seconds, UTC: `2026-11-23T10:00:00Z`. */
export type WholeTime = string;

export type Outcome = "Prevented" | "Allowed" | "Unknown";
export type SeverityLevel = "info" | "low" | "medium" | "high" | "critical" | "unknown";

/** Result of the look-up of the policy's object: one, more than one of a name, none, or no look-up possible. */
export type Provenance = "Found" | "Ambiguous" | "NotFound" | "Unknown" | "NotApplicable";

export type PolicyObjectKind =
  | "KubeArmorPolicy"
  | "KubeArmorClusterPolicy"
  | "KubeArmorHostPolicy"
  | "KubeArmorNetworkPolicy";

/** Tool that brought a policy's object into the cluster, from its labels and annotations. */
export interface PolicySource {
  /** Absent where a label names an application or release without the tool. */
  tool?: "ArgoCD" | "Flux" | "Helm";
  kind?: "Application" | "Kustomization" | "HelmRelease" | "Release";
  name: string;
  namespace?: string;
}

/** An object that bears the name of the violated policy. */
export interface PolicyObject {
  kind: PolicyObjectKind;
  namespace?: string;
  uid: string;
  generation: number;
  /** Last change of its spec, in whole seconds; absent where the object does not record it. */
  changedAt?: MicroTime;
  source?: PolicySource;
}

export interface Policy {
  name: string;
  kind: PolicyKind;
  /** 1..10, absent when no alert carried one. */
  severity?: number;
  tags?: string[];
  message?: string;
  /** Absent in a report that was made without a cluster. */
  provenance?: Provenance;
  objects?: PolicyObject[];
  /** Present and true when one of the objects was changed after the newest occurrence. */
  changedSinceLastSeen?: boolean;
}

/** Occurrences within one hour or day, by outcome; an outcome without any is absent. */
export interface HistoryEntry {
  start: WholeTime;
  prevented?: number;
  allowed?: number;
  unknown?: number;
}

/** Occurrences over time, by the alerts' own times, in UTC. Oldest first; hours and days without any are absent. */
export interface SummaryHistory {
  /** The hour of `lastSeen` and the 47 before it. */
  hourly: HistoryEntry[];
  /** The day of `lastSeen` and the 30 before it. */
  daily: HistoryEntry[];
  /** Present and true when occurrences may be missing from it or stand at another time. */
  lowerBound?: boolean;
}

export interface AcceptedSum {
  violations: number;
  occurrences: number;
}

/** As SeverityLevel; accepted when nothing is open. */
export type OpenSeverity = "accepted" | "info" | "low" | "medium" | "high" | "critical" | "unknown";

/** Totals of the part of a report that is not known to be accepted. */
export interface Open {
  occurrences: number;
  prevented: number;
  allowed: number;
  unknown: number;
  violations: number;
  severity: OpenSeverity;
}

/** Acceptance of a violation: the name of an AcceptedViolation of the report's namespace. */
export interface Accepted {
  by: string;
}

export interface Summary {
  occurrences: number;
  prevented: number;
  allowed: number;
  unknown: number;
  violations: number;
  workloads: number;
  pods: number;
  nodes: number;
  severity: SeverityLevel;
  /** Those by which severities are levels; absent where they are the defaults. */
  severityThresholds?: { low: number; medium: number; high: number; critical: number };
  firstSeen: MicroTime;
  lastSeen: MicroTime;
  /** Absent only in reports of earlier versions. */
  history?: SummaryHistory;
  /** Absent when nothing is accepted. */
  accepted?: AcceptedSum;
  /** Absent only in reports of earlier versions. */
  open?: Open;
}

export interface Workload {
  kind: string;
  name: string;
}

export interface ViolationPod {
  name: string;
  node?: string;
  occurrences: number;
  lastSeen: MicroTime;
}

/** The newest alert of a violation, as evidence. Redacted and bounded; absent fields were empty in the alert. */
export interface Evidence {
  time: MicroTime;
  type?: string;
  result?: string;
  cluster?: string;
  node?: string;
  nodeId?: string;
  pod?: string;
  labels?: string;
  containerId?: string;
  image?: string;
  /** Full command line of the acting process; for a Process violation of the program that was started. */
  command?: string;
  /** The command line of the process that started it, where the alert has more than the parent's path. */
  source?: string;
  /** Resource of the action before folding; absent where it equals the violation's resource or the command. */
  resource?: string;
  process?: string;
  parent?: string;
  pid?: number;
  ppid?: number;
  hostPid?: number;
  hostPpid?: number;
  uid?: number;
  user?: string;
  cwd?: string;
  tty?: string;
  execId?: string;
  execName?: string;
  enforcer?: string;
  data?: string;
  kubearmorVersion?: string;
  hashes?: { algorithm?: string; process?: string; parent?: string; resource?: string };
}

export interface Violation {
  /** 16 hex digits. */
  id: string;
  workload: Workload;
  /** In the cluster report only: the namespace that the alert named, where it named one. */
  namespace?: string;
  /** In the cluster report only: the node of the newest alert. */
  node?: string;
  container?: string;
  operation: string;
  /** The action itself, independent of the enforcer. Absent where the alert does not say. */
  verb?: string;
  /** Severity of the rule that matched. Absent where it equals the policy's; 0 where the rule has none and the policy has one. */
  severity?: number;
  /** Absent where they equal the policy's; empty where the rule has none and the policy has some. */
  tags?: string[];
  /** Absent where it equals the policy's; empty where the rule has none and the policy has one. */
  message?: string;
  action?: string;
  outcome: Outcome;
  /** Absent where the violation is not accepted. */
  accepted?: Accepted;
  source?: string;
  resource?: string;
  occurrences: number;
  /** Present and true when earlier occurrences may be counted under `omitted`. */
  lowerBound?: boolean;
  firstSeen: MicroTime;
  lastSeen: MicroTime;
  pods?: ViolationPod[];
  latest?: Evidence;
}

/** Violations that left the report after retention without a new occurrence; the summary keeps their counts. */
export interface Expired {
  violations: number;
  occurrences: number;
}

export interface Omitted {
  violations: number;
  occurrences: number;
}

export type CoverageGapKind =
  | "StreamDown"
  | "StreamEnded"
  | "NodeDown"
  | "Stalled"
  | "NotRunning"
  | "Handover"
  | "JournalUnavailable"
  | "TransportLost"
  | "Throttled"
  | "Rejected"
  | "MemoryLimit"
  | "Deleted";

/** Something known to be missing from the numbers. */
export interface CoverageGapEntry {
  kind: CoverageGapKind;
  from: MicroTime;
  /** Absent while it lasts. */
  to?: MicroTime;
  /** Whole seconds from `from` to `to`, rounded up. */
  seconds?: number;
  container?: string;
  pod?: string;
  node?: string;
  /** Alerts that it is about, where that is known. */
  count?: number;
  /** Nodes that were missing in it; only of kind NodeDown, once it is over. */
  nodes?: number;
}

/** Nodes that are read directly, as opposed to through the relay. */
export interface CoveredNodes {
  desired: number;
  connected: number;
}

export interface Coverage {
  continuousSince?: MicroTime;
  /** State of the nodes when the report was written; absent where the relay is read. */
  nodes?: CoveredNodes;
  gaps: number;
  throttleNotices: number;
  /** Absent when there was none. */
  rejected?: number;
  /** Absent when there was none. */
  withoutDetails?: number;
  lowerBound: boolean;
  recent?: CoverageGapEntry[];
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  creationTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  [other: string]: unknown;
}

export interface ReportBody {
  policy: Policy;
  summary: Summary;
  violations: Violation[];
  omitted?: Omitted;
  expired?: Expired;
  coverage: Coverage;
}

/** A PolicyViolationReport (namespaced) or a ClusterPolicyViolationReport (no metadata.namespace). */
export interface Report extends ReportBody {
  apiVersion: typeof API_GROUP_VERSION;
  kind: typeof REPORT_KIND | typeof CLUSTER_REPORT_KIND;
  metadata: ObjectMeta;
}
