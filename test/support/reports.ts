// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports as kubectl gives them.

import type { Report } from "../../src/api/v1alpha1.ts";
import type { Cluster } from "../../tools/cluster/cluster.ts";
import type { SampleRow } from "../../tools/samples.ts";

/** Every report of both kinds, by namespace and name. */
export async function listReports(cluster: Cluster): Promise<Report[]> {
  const texts = await Promise.all([
    cluster.kubectl(["get", "policyviolationreports", "-A", "-o", "json"]),
    cluster.kubectl(["get", "clusterpolicyviolationreports", "-o", "json"]),
  ]);
  const reports = texts.flatMap((text) => (JSON.parse(text) as { items: Report[] }).items);
  return reports.sort((a, b) => (getPath(a) < getPath(b) ? -1 : 1));
}

/** One report; undefined when it is not there. */
export async function report(
  cluster: Cluster,
  namespace: string | undefined,
  name: string,
): Promise<Report | undefined> {
  const place = namespace === undefined ? ["cpvr"] : ["pvr", "-n", namespace];
  const text = await cluster.kubectl(["get", ...place, name, "-o", "json", "--ignore-not-found"]);
  return text === "" ? undefined : (JSON.parse(text) as Report);
}

/** A report as a row of the table of samples. */
export function row({ metadata, summary: s }: Report): SampleRow {
  const { namespace = "", name } = metadata;
  const counts = [s.occurrences, s.prevented, s.allowed, s.violations, s.workloads, s.pods, s.nodes] as const;
  return [namespace, name, ...counts, s.severity];
}

/** Occurrences over all reports. */
export function sumOccurrences(reports: readonly Report[]): number {
  return reports.reduce((sum, { summary }) => sum + summary.occurrences, 0);
}

function getPath({ metadata }: Report): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
