// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The fields of a report that the commands rely on. A file, or an API server with another CRD schema, may hold
// anything: a text in place of a number would be printed, summed and compared as if it were right. Invariant: fields
// that are unknown here pass; known fields have their type, or the report is refused.

import * as z from "zod";
import { API_GROUP_VERSION, CLUSTER_REPORT_KIND, REPORT_KIND } from "../../../../src/api/names.ts";
import type { Report } from "../../../../src/api/v1alpha1.ts";
import { reportName } from "../../../../src/ingest/violation/report-name.ts";
import { parseMicroTime } from "../../../../src/lib/time.ts";
import { plain } from "../../text/escape.ts";
import { countUnlisted, countUnlistedOpen, OUTCOMES } from "../filter.ts";
import { toMs } from "../when.ts";

const count = z.int().min(0);
const text = z.string();
const time = text.refine((value) => parseMicroTime(value) !== undefined, "expected an RFC 3339 time");
const level = z.enum(["info", "low", "medium", "high", "critical", "unknown"]);
const openLevel = z.enum(["accepted", "none", ...level.options]);
/** 0: the rule has none, and the policy has one. */
const severity = z.int().min(0).max(10);
/** 11: never. */
const threshold = z.int().min(1).max(11);
/** A name of Kubernetes: it becomes a path, so nothing in it may lead out of a directory. */
const name = text.max(253).regex(/^[a-z0-9]([-a-z0-9]|\.(?!\.))*$/, "expected the name of a Kubernetes object");

const shares = { prevented: count, allowed: count, unknown: count };
const history = z.array(
  z.looseObject({ start: time, prevented: count.optional(), allowed: count.optional(), unknown: count.optional() }),
);

const violation = z.looseObject({
  id: text,
  workload: z.looseObject({ kind: text, name: text }),
  namespace: text.optional(),
  node: text.optional(),
  container: text.optional(),
  operation: text,
  verb: text.optional(),
  severity: severity.optional(),
  message: text.optional(),
  tags: z.array(text).optional(),
  action: text.optional(),
  outcome: z.enum(["Prevented", "Allowed", "Unknown"]),
  accepted: z.looseObject({ by: text }).optional(),
  source: text.optional(),
  resource: text.optional(),
  occurrences: count,
  lowerBound: z.boolean().optional(),
  firstSeen: time,
  lastSeen: time,
  pods: z.array(z.looseObject({ name: text, node: text.optional(), occurrences: count, lastSeen: time })).optional(),
  latest: z
    .looseObject({
      time,
      ...Object.fromEntries(["pid", "ppid", "hostPid", "uid"].map((field) => [field, z.number().optional()])),
      ...Object.fromEntries(
        [
          ...["node", "pod", "labels", "image", "command", "source", "resource", "process", "parent", "user", "cwd"],
          ...["tty", "execId", "enforcer", "data", "result", "cluster", "kubearmorVersion"],
        ].map((field) => [field, text.optional()]),
      ),
    })
    .optional(),
});

const accepted = z.looseObject({ violations: count, occurrences: count });
const open = z.looseObject({ occurrences: count, ...shares, violations: count, severity: openLevel });

const report = z.looseObject({
  apiVersion: z.literal(API_GROUP_VERSION),
  kind: z.enum([REPORT_KIND, CLUSTER_REPORT_KIND]),
  metadata: z.looseObject({
    name,
    namespace: name.optional(),
    labels: z.record(text, text).optional(),
    annotations: z.record(text, text).optional(),
  }),
  policy: z.looseObject({
    name: text,
    kind: text,
    severity: severity.optional(),
    tags: z.array(text).optional(),
    message: text.optional(),
    objects: z.array(z.looseObject({ kind: text.optional(), source: z.looseObject({}).optional() })).optional(),
    changedSinceLastSeen: z.boolean().optional(),
  }),
  summary: z.looseObject({
    occurrences: count,
    ...shares,
    violations: count,
    workloads: count,
    pods: count,
    nodes: count,
    severity: level,
    severityThresholds: z
      .looseObject({ low: threshold, medium: threshold, high: threshold, critical: threshold })
      .optional(),
    firstSeen: time,
    lastSeen: time,
    accepted: accepted.optional(),
    open: open.optional(),
    history: z.looseObject({ hourly: history, daily: history, lowerBound: z.boolean().optional() }).optional(),
  }),
  violations: z.array(violation),
  omitted: z.looseObject({ violations: count, occurrences: count }).optional(),
  expired: z.looseObject({ violations: count, occurrences: count }).optional(),
  coverage: z.looseObject({
    continuousSince: time.optional(),
    gaps: count,
    throttleNotices: count,
    rejected: count.optional(),
    withoutDetails: count.optional(),
    lowerBound: z.boolean(),
    recent: z
      .array(
        z.looseObject({
          kind: text,
          from: time,
          to: time.optional(),
          seconds: count.optional(),
          count: count.optional(),
        }),
      )
      .optional(),
  }),
});

/** A report of `export --summary` has neither counts nor last times; what it has is of the same form. */
const summaryReport = report.extend({
  summary: report.shape.summary
    .partial()
    .extend({ accepted: accepted.partial().optional(), open: open.partial().optional() }),
  violations: z.array(violation.partial({ occurrences: true, lastSeen: true })),
  coverage: report.shape.coverage.partial(),
  omitted: z.looseObject({ violations: count }).optional(),
});

/** Returns the report, or the first of what is wrong with it. */
export function checkReport(value: unknown, { isSummary = false } = {}): Report | string {
  const result = (isSummary ? summaryReport : report).safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    const where = (issue?.path ?? []).map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
    return plain(`${where === "" ? "" : `${where.replace(/^\./, "")}: `}${issue?.message ?? "unknown form"}`);
  }
  const found = result.data as unknown as Report;
  if ((found.kind === REPORT_KIND) !== (found.metadata.namespace !== undefined)) {
    return `metadata.namespace: does not go with the kind ${found.kind}`;
  }
  return found;
}

/** Says what no report of the operator has: this one was changed, or made, by hand. */
export function findContradiction(report: Report): string | undefined {
  const { metadata, policy, summary, violations, omitted, expired } = report;
  // The operator leaves such a report alone, so that the policy whose name it takes has none.
  if (metadata.name !== reportName(policy.name)) return "metadata.name: not that of the report of its policy";
  const unlisted = (omitted?.occurrences ?? 0) + (expired?.occurrences ?? 0);
  for (const count of [countUnlisted, countUnlistedOpen]) {
    if (OUTCOMES.reduce((sum, outcome) => sum + count(report, outcome), 0) > unlisted)
      return "violations: the totals have more than list, omitted and expired";
  }
  const isOutside = violations.some(
    ({ firstSeen, lastSeen }) => toMs(firstSeen) < toMs(summary.firstSeen) || toMs(lastSeen) > toMs(summary.lastSeen),
  );
  return isOutside ? "summary: does not cover the times of its violations" : undefined;
}
