// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// OpenReports on a test cluster: the project's own CRDs, the copies as kubectl gives them, and what a report must become.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OpenReport } from "../../../src/api/openreports.ts";
import type { Report, Violation } from "../../../src/api/v1alpha1.ts";
import type { Cluster } from "../../../tools/cluster/cluster.ts";

/** The CRDs of openreports.io/v1alpha1, as one manifest. */
export function openReportCrds(): string {
  return ["reports", "clusterreports"]
    .map((name) => readFileSync(join(import.meta.dirname, `${name}.yaml`), "utf8"))
    .join("\n---\n");
}

export async function installOpenReports(cluster: Cluster): Promise<void> {
  await cluster.apply(openReportCrds());
  const names = ["crd/reports.openreports.io", "crd/clusterreports.openreports.io"];
  await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=60s", ...names]);
}

/** Every copy of both kinds, by namespace and name. */
export async function listOpenReports(cluster: Cluster): Promise<OpenReport[]> {
  const kinds = ["reports.openreports.io", "clusterreports.openreports.io"];
  const texts = await Promise.all(kinds.map((kind) => cluster.kubectl(["get", kind, "-A", "-o", "json"])));
  const copies = texts.flatMap((text) => (JSON.parse(text) as { items: OpenReport[] }).items);
  return copies.sort((a, b) => (getPath(a) < getPath(b) ? -1 : 1));
}

/** Facts that a reader counts: the copy's path, its results by status, and their ids. Written apart from the code under test. */
export interface Copied {
  path: string;
  summary: Record<string, number>;
  resultIds: string[];
}

export function toCopied(copy: OpenReport): Copied {
  const { pass, fail, warn, error, skip } = copy.summary;
  const resultIds = copy.results.map(({ properties }) => properties["resultID"] ?? "none");
  return { path: getPath(copy), summary: { pass, fail, warn, error, skip }, resultIds };
}

/** The copy of a report that fits into one, with the default mapping. */
export function toExpectedCopy({ metadata, violations }: Report): Copied {
  const { namespace = "", name } = metadata;
  const count = (status: string) => violations.filter((violation) => toStatus(violation) === status).length;
  return {
    path: `${namespace}/kubearmor-${name}`,
    summary: { pass: 0, fail: count("fail"), warn: count("warn"), error: 0, skip: count("skip") },
    resultIds: violations.map((violation) => toResultId(metadata, violation)),
  };
}

/** The id of a violation's result in the copy of a report. */
export function toResultId({ namespace = "", name }: Report["metadata"], { id }: Violation): string {
  return createHash("sha256").update(`${namespace}/${name}/${id}`).digest("hex").slice(0, 16);
}

export function toStatus({ accepted, outcome }: Violation): string {
  if (accepted) return "skip";
  return outcome === "Prevented" ? "warn" : "fail";
}

function getPath({ metadata }: OpenReport): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
