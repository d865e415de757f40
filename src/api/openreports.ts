// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The part of openreports.io/v1alpha1 that this program writes, and its names. Upstream: openreports/reports-api v0.2.1.

export const OPENREPORTS_GROUP_VERSION = "openreports.io/v1alpha1";
export const OPENREPORT_KIND = "Report";
export const OPENREPORT_PLURAL = "reports";
export const CLUSTER_OPENREPORT_KIND = "ClusterReport";
export const CLUSTER_OPENREPORT_PLURAL = "clusterreports";

/** Keeps the names apart from those of other producers: readers key a report by name and namespace alone. */
export const OPENREPORT_NAME_PREFIX = "kubearmor-";
/** `source` of every report and result; readers group by it. */
export const OPENREPORT_SOURCE = "KubeArmor";

export type ResultStatus = "pass" | "fail" | "warn" | "error" | "skip";
export type ResultSeverity = "critical" | "high" | "medium" | "low" | "info";

/** The contract that a consumer sets on the stored object; both limits are optional. */
export interface OpenReportLimits {
  /** 0 or less is not a limit. */
  maxResults?: number;
  /** Statuses to list; empty lists all. */
  statusFilter?: ResultStatus[];
}

export interface OpenReportResult {
  source: string;
  policy: string;
  rule: string;
  category: string;
  severity: ResultSeverity;
  result: ResultStatus;
  scored: boolean;
  timestamp: { seconds: number; nanos: number };
  resources?: { apiVersion?: string; kind: string; name: string; namespace?: string }[];
  message: string;
  properties: Record<string, string>;
}

export interface OpenReportMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  ownerReferences: { apiVersion: string; kind: string; name: string; uid: string }[];
}

/** A Report (namespaced) or a ClusterReport (no metadata.namespace). */
export interface OpenReport {
  apiVersion: typeof OPENREPORTS_GROUP_VERSION;
  kind: typeof OPENREPORT_KIND | typeof CLUSTER_OPENREPORT_KIND;
  metadata: OpenReportMeta;
  source: string;
  configuration?: { limits: OpenReportLimits };
  /** Results by status, not occurrences: consumers add them up to the number of results. */
  summary: Record<ResultStatus, number>;
  results: OpenReportResult[];
}
