// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Severities as words.

import type { SeverityLevel, Summary } from "./v1alpha1.ts";

/** Lowest raw severity (1..10) of each level; below `low` it is info. */
export type SeverityThresholds = NonNullable<Summary["severityThresholds"]>;

/** The thresholds where nothing else is configured. */
export const DEFAULT_THRESHOLDS: SeverityThresholds = { low: 3, medium: 5, high: 7, critical: 9 };

/** The word for a policy's severity; `undefined` is of a policy that has none. */
export function toSeverityLevel(severity: number | undefined, t: SeverityThresholds): SeverityLevel {
  if (severity === undefined) return "unknown";
  if (severity >= t.critical) return "critical";
  if (severity >= t.high) return "high";
  if (severity >= t.medium) return "medium";
  return severity >= t.low ? "low" : "info";
}
