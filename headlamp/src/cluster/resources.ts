// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The custom resources as Headlamp's objects: read with the rights of the user.

import { K8s } from "@kinvolk/headlamp-plugin/lib";
import { type Heartbeat, type LeaseObject, readHeartbeat } from "../../../plugin/src/reports/heartbeat.ts";
import { addStatedGaps, readStatedGaps } from "../../../plugin/src/reports/stated-gaps.ts";
import {
  API_GROUP_VERSION,
  CLUSTER_REPORT_KIND,
  CLUSTER_REPORT_PLURAL,
  PRODUCT,
  REPORT_KIND,
  REPORT_PLURAL,
} from "../../../src/api/names.ts";
import type { Report } from "../../../src/api/v1alpha1.ts";
import type { ListError } from "../model/notes.ts";
import { readLeaseNamespace } from "./settings.ts";

const { KubeObject } = K8s.cluster;

/** Stands for the namespace of a cluster report in paths. */
export const NO_NAMESPACE = "-";
export const ROUTE = {
  violations: "kubearmor-violations",
  reports: "kubearmor-violation-reports",
  report: "kubearmor-violation-report",
  violation: "kubearmor-violation",
} as const;

class NamespacedReport extends KubeObject {
  static kind = REPORT_KIND;
  static apiName = REPORT_PLURAL;
  static apiVersion = API_GROUP_VERSION;
  static isNamespaced = true;
  static get detailsRoute() {
    return ROUTE.report;
  }
}

class ClusterReport extends KubeObject {
  static kind = CLUSTER_REPORT_KIND;
  static apiName = CLUSTER_REPORT_PLURAL;
  static apiVersion = API_GROUP_VERSION;
  static isNamespaced = false;
  static get detailsRoute() {
    return ROUTE.report;
  }
}

export interface ReportLists {
  /** Undefined until every list has answered. */
  reports: readonly Report[] | undefined;
  errors: readonly ListError[];
  /** Cluster of each report. */
  clusters: ReadonlyMap<Report, string>;
}

type Item = { jsonData: unknown; cluster: string };

/** Narrows lists; by default every namespace of the clusters that are shown. */
export interface Scope {
  namespace?: string;
  /** Name in Headlamp. */
  cluster?: string;
}

/** Lists and watches both kinds; cluster reports have no namespace and are always read. */
export function useReports({ namespace, cluster }: Scope = {}): ReportLists {
  const inCluster = cluster === undefined ? {} : { cluster };
  const namespaced = NamespacedReport.useList({ ...inCluster, ...(namespace === undefined ? {} : { namespace }) });
  const ofCluster = ClusterReport.useList(inCluster);
  const items = [...((namespaced.items ?? []) as Item[]), ...((ofCluster.items ?? []) as Item[])];
  const gaps = useStatedGaps();
  const clusters = new Map(items.map(({ jsonData, cluster }) => [addStatedGaps(jsonData as Report, gaps), cluster]));
  const errors = [
    ...toListErrors(REPORT_PLURAL, namespaced.errors ?? []),
    ...toListErrors(CLUSTER_REPORT_PLURAL, ofCluster.errors ?? []),
  ];
  const isPending = [namespaced, ofCluster].some(({ items, errors }) => items === null && !errors?.length);
  return { reports: isPending ? undefined : [...clusters.keys()], errors, clusters };
}

function toListErrors(resource: string, errors: readonly Omit<ListError, "resource">[]): ListError[] {
  return errors.map(({ status, message, cluster, namespace }) => ({
    resource,
    message,
    ...(status === undefined ? {} : { status }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(namespace === undefined ? {} : { namespace }),
  }));
}

/** Reads and watches one report; `namespace` is NO_NAMESPACE for a cluster report. */
export function useReport(namespace: string, name: string): { report?: Report; error?: ListError } {
  const isCluster = namespace === NO_NAMESPACE;
  const kind = isCluster ? ClusterReport : NamespacedReport;
  const { data, error } = kind.useGet(name, isCluster ? undefined : namespace);
  const gaps = useStatedGaps();
  if (data) return { report: addStatedGaps((data as unknown as Item).jsonData as Report, gaps) };
  const [found] = error ? toListErrors(kind.apiName, [error]) : [];
  return found === undefined ? {} : { error: found };
}

/** Reads the gaps that the operator's Lease states; none while it is read, and for several clusters together. */
function useStatedGaps(): ReturnType<typeof readStatedGaps> {
  const clusters = K8s.useSelectedClusters();
  const { data } = K8s.ResourceClasses.Lease.useGet(PRODUCT, readLeaseNamespace());
  return clusters.length > 1 || !data ? [] : readStatedGaps((data as unknown as Item).jsonData as LeaseObject);
}

/** Reads the operator's Lease in `namespace`; undefined while it is read. Unknown for several clusters together. */
export function useHeartbeat(namespace: string): Heartbeat | undefined {
  const clusters = K8s.useSelectedClusters();
  const { data, error } = K8s.ResourceClasses.Lease.useGet(PRODUCT, namespace);
  if (clusters.length > 1) return { state: "unknown", why: "several clusters are shown" };
  if (error) return { state: "unknown", why: `the Lease ${namespace}/${PRODUCT}: ${error.message}` };
  if (!data) return undefined;
  const lease = (data as unknown as Item).jsonData as object;
  return readHeartbeat(lease, { namespace, name: PRODUCT }, { nowMs: Date.now() });
}
