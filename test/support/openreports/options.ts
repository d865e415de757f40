// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import type { OpenReportOptions } from "../../../src/report/openreport.ts";

/** The defaults of the configuration, with the thresholds of reports. */
export const OPTIONS: OpenReportOptions = {
  maxResults: 100,
  results: { allowed: "fail", prevented: "warn", unknown: "fail", accepted: "skip" },
  thresholds: { low: 3, medium: 5, high: 7, critical: 9 },
  unknownSeverity: "medium",
  clusterName: "",
};
