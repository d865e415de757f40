// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reports as `kubectl get` prints them.

import type { Report } from "../api/v1alpha1.ts";
import { compare } from "../lib/compare.ts";
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
  const header = ["NAMESPACE", "NAME", "PREVENTED", "ALLOWED", "PODS", "SEVERITY", "LAST SEEN"];
  const namespaced = reports.filter((report) => report.metadata.namespace !== undefined);
  return formatRows(header, namespaced, (r) => [r.metadata.namespace ?? "", ...toCells(r, r.summary.pods, nowMs)]);
}

/** The table of `kubectl get cpvr`, by name. */
export function formatClusterReportTable(reports: readonly Report[], nowMs: number): string {
  const header = ["NAME", "PREVENTED", "ALLOWED", "NODES", "SEVERITY", "LAST SEEN"];
  const cluster = reports.filter((report) => report.metadata.namespace === undefined);
  return formatRows(header, cluster, (r) => toCells(r, r.summary.nodes, nowMs));
}

function formatRows(header: readonly string[], reports: Report[], toRow: (report: Report) => string[]): string {
  const sorted = reports.sort((a, b) => compare(toObjectKey(a.metadata), toObjectKey(b.metadata)));
  return table(header, sorted.map(toRow));
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
