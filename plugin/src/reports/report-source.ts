// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: where a command gets its reports: a cluster, or a directory that `export` or `replay` wrote.

import type { Report } from "../../../src/api/v1alpha1.ts";
import type { Heartbeat } from "./heartbeat.ts";

/** Which reports a call is about. */
export interface ReportFilterScope {
  /** Undefined: every namespace, and the reports that belong to none (hosts). */
  namespace: string | undefined;
}

export interface ReportSource {
  /** Gives every report of the scope, in no particular order; throws a PluginError when that can't be had in full. */
  list(scope: ReportFilterScope): AsyncIterable<Report>;
  /** One report by its name; undefined when it is not there. */
  read(namespace: string | undefined, name: string): Promise<Report | undefined>;
  /** Names of namespaces, for completion. */
  namespaces(): Promise<string[]>;
  /** Whether the operator that writes them is running; undefined where nothing is to be told of that. */
  heartbeat?(nowMs: number): Promise<Heartbeat>;
  /** Where the reports come from, for a message. */
  where: string;
}

/** All reports of a scope, in one order on every machine. */
export async function readAll(source: ReportSource, scope: ReportFilterScope): Promise<Report[]> {
  const reports: Report[] = [];
  for await (const report of source.list(scope)) reports.push(report);
  return reports.sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
}

/** Cluster reports first, then by namespace and name. */
function orderKey({ metadata }: Report): string {
  return `${metadata.namespace ?? ""}\u0000${metadata.name}`;
}
