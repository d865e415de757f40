// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Every name that a user or another program can see. Changing one is a breaking change.

export const PRODUCT = "policy-violation-operator";

export const API_GROUP = "reports.kubearmor.com";
export const API_VERSION = "v1alpha1";
export const API_GROUP_VERSION = `${API_GROUP}/${API_VERSION}` as const;

export const REPORT_KIND = "PolicyViolationReport";
export const REPORT_PLURAL = "policyviolationreports";
export const CLUSTER_REPORT_KIND = "ClusterPolicyViolationReport";
export const CLUSTER_REPORT_PLURAL = "clusterpolicyviolationreports";

export const MANAGED_BY_LABEL = "app.kubernetes.io/managed-by";
/** On every report where the configuration names the cluster. */
export const CLUSTER_LABEL = `${API_GROUP}/cluster`;
/** Keeps Argo CD from reporting our objects as drift. */
export const ARGO_COMPARE_ANNOTATION = "argocd.argoproj.io/compare-options";
export const ARGO_COMPARE_VALUE = "IgnoreExtraneous";
/** Writers of the counts in a report: `<writer id>/<n>` for each of the last few writers, the newest first. */
export const MARKS_ANNOTATION = `${API_GROUP}/written-by`;
/**
 * On a cluster report: `<writer id or stream> <namespace>=<position> …`, the number of the writer's set, or the position in
 * the stream, up to which it holds the counts of each namespace that is gone.
 */
export const MOVED_ANNOTATION = `${API_GROUP}/moved-counts`;

/** On the Lease: a standby that could take over without a gap; other replicas leave a free Lease to it for a while. */
export const STANDBY_ANNOTATION = `${API_GROUP}/standby`;
/** On the Lease: the time before which the leader has written everything that it counted. RFC 3339 with microseconds. */
export const UNWRITTEN_SINCE_ANNOTATION = `${API_GROUP}/unwritten-since`;
/**
 * On the Lease: the time since which alerts may be in no report; absent while the leader reads all of KubeArmor and may
 * list and write reports. RFC 3339.
 */
export const MISSING_SINCE_ANNOTATION = `${API_GROUP}/alerts-missing-since`;
/**
 * On the Lease: the newest gaps of the alert stream that are over, as JSON, each as in `coverage.recent` of a report. A
 * report from before such a gap gets it with its next write.
 */
export const STREAM_GAPS_ANNOTATION = `${API_GROUP}/stream-gaps`;

export const FIELD_MANAGER = PRODUCT;
export const EVENT_REPORTER = `${API_GROUP}/${PRODUCT}`;

export const EVENT_REASON = {
  Prevented: "PolicyViolationPrevented",
  Allowed: "PolicyViolationAllowed",
  Unknown: "PolicyViolation",
  Throttled: "AlertsThrottled",
  StreamGap: "StreamGap",
} as const;

/** The name that KubeArmor gives to what no policy names: a posture or an allow-list denied or audited it. */
export const DEFAULT_POSTURE = "DefaultPosture";
