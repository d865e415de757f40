// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The object that a write sends.

import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { API_GROUP_VERSION, CLUSTER_REPORT_KIND, MANAGED_BY_LABEL, PRODUCT, REPORT_KIND } from "../api/names.ts";
import { toViolationText } from "../api/report-text.ts";
import type { ObjectMeta, Report, ReportBody } from "../api/v1alpha1.ts";
import type { RenderOptions } from "../report/render.ts";
import type { ReportRef } from "../sinks/report-sink.ts";
import { addMark, type Mark } from "./marks.ts";

/**
 * A write with an unknown outcome. Sent again unchanged until the outcome is known, so that it can't be counted twice.
 */
export interface Attempt {
  report: Report;
  /** The set of counts that it brings; undefined where the sink keeps no marks. */
  mark: Mark | undefined;
  /** True if it brings a violation that the stored report does not have. */
  fresh: boolean;
}

/**
 * Puts `body` under the metadata of the stored object, so that other people's labels, annotations, finalizers and
 * owners survive a write of the whole object.
 */
export function buildReport(
  ledger: Ledger,
  body: ReportBody,
  stored: ObjectMeta | undefined,
  mark: Mark | undefined,
): Report {
  const { managedFields: _, generation: __, ...kept } = (stored ?? {}) as Record<string, unknown>;
  return {
    apiVersion: API_GROUP_VERSION,
    kind: ledger.namespace === undefined ? CLUSTER_REPORT_KIND : REPORT_KIND,
    metadata: {
      ...kept,
      name: ledger.name,
      ...(ledger.namespace === undefined ? {} : { namespace: ledger.namespace }),
      labels: { ...stored?.labels, [MANAGED_BY_LABEL]: PRODUCT },
      annotations: addMark(mark, stored),
    },
    policy: body.policy,
    summary: body.summary,
    violations: body.violations,
    ...(body.omitted ? { omitted: body.omitted } : {}),
    ...(body.expired ? { expired: body.expired } : {}),
    coverage: body.coverage,
  };
}

export function toReportRef({ namespace, name }: Ledger): ReportRef {
  return { namespace, name };
}

/**
 * A report of more counts as several writes: what a write costs the API server and etcd goes with its size. A byte takes
 * the API server a microsecond, so that 20 writes a second of this size are two thirds of one of its processors.
 */
const BYTES_PER_WRITE = 32 * 1024;

/** Returns what a write of the report counts as: 1 for each 32 KiB of its violations as JSON, and at least 1. */
export function countWrites({ violations }: Report): number {
  const bytes = violations.reduce((sum, each) => sum + toViolationText(each).length, 0);
  return Math.max(1, bytes / BYTES_PER_WRITE);
}

/** Returns `options` for a report of at most `maxBytes`. */
export function limitBytes(options: RenderOptions, maxBytes: number): RenderOptions {
  const { limits } = options;
  return { ...options, limits: { ...limits, maxBytes: Math.min(limits.maxBytes, maxBytes) } };
}
