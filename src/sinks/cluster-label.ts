// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The label of a report that names the cluster.

import { CLUSTER_LABEL } from "../api/names.ts";
import type { Report } from "../api/v1alpha1.ts";

/** Sets the cluster label, or removes that of an earlier configuration. */
export function addClusterLabel(report: Report, clusterName: string): Report {
  const { [CLUSTER_LABEL]: before = "", ...others } = report.metadata.labels ?? {};
  if (before === clusterName) return report;
  const labels = clusterName === "" ? others : { ...others, [CLUSTER_LABEL]: clusterName };
  return { ...report, metadata: { ...report.metadata, labels } };
}
