// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// PORT: the source of reports: a cluster, or a directory that `export` or `replay` wrote.

import type { StatedGap } from "../../../../src/aggregate/gaps/stated-gaps.ts";
import type { AcceptanceSpec, AcceptanceStatus } from "../../../../src/api/acceptance.ts";
import type { Report } from "../../../../src/api/v1alpha1.ts";
import type { Heartbeat } from "../heartbeat.ts";
import { addStatedGaps } from "../stated-gaps.ts";

/** The reports that a call is about. */
export interface ReportFilterScope {
  /** Undefined: every namespace, and the reports without one (hosts). */
  namespace: string | undefined;
}

export interface Acceptance {
  metadata: { name: string; namespace: string; generation?: number };
  spec: AcceptanceSpec;
  status?: AcceptanceStatus;
}

export interface ReportSource {
  /**
   * Yields every report of the scope, in no particular order. A report of another form is left out, and `onLeftOut`
   * gets the reason: who may change one report must not hide the others. Throws a PluginError where a page is missing.
   */
  list(scope: ReportFilterScope, onLeftOut: (why: string) => void): AsyncIterable<Report>;
  /** Returns one report by its name; undefined when it does not exist. */
  read(namespace: string | undefined, name: string): Promise<Report | undefined>;
  /** Returns the names of namespaces, for completion. */
  namespaces(): Promise<string[]>;
  /** Says, as a clause, why it is unknown if a namespace without reports exists; undefined where it does. */
  doubtNamespace?(namespace: string): Promise<string | undefined>;
  /** State of the operator that writes the reports; undefined for files, which no operator updates. */
  heartbeat?(nowMs: number): Promise<Heartbeat>;
  /** Gaps of the alert stream that reports may lack; undefined for files. */
  statedGaps?(): Promise<readonly StatedGap[]>;
  /** Lists the AcceptedViolations of the scope; undefined for files, which hold none. */
  acceptances?(scope: ReportFilterScope): Promise<Acceptance[]>;
  /** Creates an AcceptedViolation, or replaces the spec of the one with its name. */
  apply?(acceptance: object): Promise<"created" | "replaced">;
  /** Place of the reports, for a message. */
  where: string;
  /** True for files: they show the state of the time when they were written. */
  isSnapshot?: boolean;
}

/** Reads all reports of a scope, in one order on every machine. */
export async function readAll(
  source: ReportSource,
  scope: ReportFilterScope,
  onLeftOut: (why: string) => void,
): Promise<Report[]> {
  const reports: Report[] = [];
  for await (const report of source.list(scope, onLeftOut)) reports.push(report);
  // Read later than the reports, so that they lack no gap that it has not.
  const gaps = (await source.statedGaps?.()) ?? [];
  return reports.map((report) => addStatedGaps(report, gaps)).sort((a, b) => (orderKey(a) < orderKey(b) ? -1 : 1));
}

/** Reads one report by its name; undefined when it does not exist. */
export async function readOne(
  source: ReportSource,
  namespace: string | undefined,
  name: string,
): Promise<Report | undefined> {
  const report = await source.read(namespace, name);
  return report && addStatedGaps(report, (await source.statedGaps?.()) ?? []);
}

/** Cluster reports first, then by namespace and name. */
function orderKey({ metadata }: Report): string {
  return `${metadata.namespace ?? ""}\u0000${metadata.name}`;
}
