// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports as `kubectl get` prints them.

import type { Report } from "../api/v1alpha1.ts";
import { toObjectKey } from "../lib/object-key.ts";
import { formatAge } from "../lib/time.ts";

const GAP = "   ";

/** Lays rows out in columns as wide as their widest cell; the last is not padded. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join(GAP);
  return [header, ...rows].map((row) => `${line(row)}\n`).join("");
}

/** The table of `kubectl get pvr -A`, by namespace and name. */
export function formatReportTable(reports: readonly Report[], nowMs: number): string {
  const namespaced = reports.filter((report) => report.metadata.namespace !== undefined).sort(compareNames);
  const header = ["NAMESPACE", "NAME", "PREVENTED", "ALLOWED", "PODS", "SEVERITY", "LAST SEEN"];
  return table(
    header,
    namespaced.map((r) => [r.metadata.namespace ?? "", ...toCells(r, r.summary.pods, nowMs)]),
  );
}

/** The table of `kubectl get cpvr`, by name. */
export function formatClusterReportTable(reports: readonly Report[], nowMs: number): string {
  const cluster = reports.filter((report) => report.metadata.namespace === undefined).sort(compareNames);
  const header = ["NAME", "PREVENTED", "ALLOWED", "NODES", "SEVERITY", "LAST SEEN"];
  return table(
    header,
    cluster.map((r) => toCells(r, r.summary.nodes, nowMs)),
  );
}

function toCells({ metadata, summary }: Report, places: number, nowMs: number): string[] {
  return [
    metadata.name,
    String(summary.prevented),
    String(summary.allowed),
    String(places),
    summary.severity,
    formatAge(nowMs - Date.parse(summary.lastSeen)),
  ];
}

function compareNames(a: Report, b: Report): number {
  const [x, y] = [a, b].map(({ metadata }) => toObjectKey(metadata));
  return (x ?? "") < (y ?? "") ? -1 : 1;
}
