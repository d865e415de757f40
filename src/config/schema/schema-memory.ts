// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings that bound what is held in memory.

import { section, wholeNumber } from "./setting.ts";

export const memory = section("Bounds on what is held in memory.", {
  maxViolations: wholeNumber({
    about:
      "Distinct violations held over all reports. At this number the workload that holds the most evicts half of " +
      "its violations, at most 256 of about 1,000 that are compared at a time, prevented before allowed ones, the " +
      "least recent first: their counts stay in the summary and in `omitted`.",
    default: 200_000,
    min: 100,
    max: 10_000_000,
    unit: "violations",
  }),
  limitBytes: wholeNumber({
    about:
      "Estimated size of these violations; at this size the same happens. Lowered to half of what the heap " +
      "has beyond 96 MiB, where that is less: V8's heap is about half of a container's memory.",
    default: 268_435_456,
    min: 1_048_576,
    max: 68_719_476_736,
    unit: "bytes",
  }),
  maxViolationsPerWorkload: wholeNumber({
    about: "Distinct violations that one workload holds in one report; at this number some are evicted, as above.",
    default: 10_000,
    min: 10,
    max: 10_000_000,
    unit: "violations",
  }),
  maxReports: wholeNumber({
    about: "Reports held; an alert that would begin another one is rejected (`too_many_reports`).",
    default: 20_000,
    min: 10,
    max: 1_000_000,
    unit: "reports",
  }),
  maxReportsPerNamespace: wholeNumber({
    about:
      "Of these, reports of one namespace, or of the cluster; an alert that would begin another one is rejected " +
      "(`too_many_reports_in_namespace`).",
    default: 2000,
    min: 1,
    max: 1_000_000,
    unit: "reports",
  }),
});
