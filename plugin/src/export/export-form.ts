// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The form of an exported report: its content and its bytes.
// Invariant: the same state gives the same bytes; what only a store or the writer needs is left out.

import { MARKS_ANNOTATION } from "../../../src/api/names.ts";
import type { ObjectMeta, Report } from "../../../src/api/v1alpha1.ts";
import { compare } from "../../../src/lib/compare.ts";
import { reportToYaml } from "../../../src/sinks/directory-sink.ts";
import { EXPORT_ANNOTATION, SUMMARY_EXPORT } from "../reports/sources/directory-reports.ts";
import { sortFields } from "./export-order.ts";

/** Annotations that say nothing of the violations. */
const PASSING_ANNOTATIONS = [MARKS_ANNOTATION, "kubectl.kubernetes.io/last-applied-configuration"];

/** The bytes of an exported report; with `isSummary` without what changes every minute. */
export function exportText(report: Report, isSummary: boolean): string {
  const lasting = isSummary ? toSummary(report) : { ...report, metadata: selectMetadata(report.metadata, {}) };
  return reportToYaml(sortFields(lasting));
}

function selectMetadata(metadata: ObjectMeta, more: Record<string, string>): ObjectMeta {
  const kept = Object.entries(metadata.annotations ?? {}).filter(([name]) => !PASSING_ANNOTATIONS.includes(name));
  const annotations = { ...Object.fromEntries(kept), ...more };
  const { name, namespace, labels } = metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/** Shares of the summary that only a decision changes. */
function selectShares({ accepted, open }: Report["summary"]): object {
  return {
    ...(accepted === undefined ? {} : { accepted: { violations: accepted.violations } }),
    ...(open === undefined ? {} : { open: { violations: open.violations, severity: open.severity } }),
  };
}

/** By id, not by recency: an order that moves every minute would be a diff every minute. */
function toSummary(report: Report): Report {
  const { apiVersion, kind, policy, summary, violations, omitted, coverage } = report;
  const lasting = {
    apiVersion,
    kind,
    metadata: selectMetadata(report.metadata, { [EXPORT_ANNOTATION]: SUMMARY_EXPORT }),
    policy,
    summary: {
      violations: summary.violations,
      severity: summary.severity,
      firstSeen: summary.firstSeen,
      ...selectShares(summary),
    },
    violations: violations
      .map(({ occurrences: _, lastSeen: __, pods: ___, latest: ____, node: _____, ...violation }) => violation)
      .sort((a, b) => compare(a.id, b.id)),
    ...(omitted === undefined ? {} : { omitted: { violations: omitted.violations } }),
    coverage: { lowerBound: coverage.lowerBound },
  };
  return lasting as unknown as Report;
}
