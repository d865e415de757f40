// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings that bound what is held in memory.

import { section, wholeNumber } from "./setting.ts";

export const memory = section("What is held in memory.", {
  maxViolations: wholeNumber({
    about:
      "Distinct violations held over all reports. At this number the workload that holds the most forgets half of " +
      "its violations, those stopped before those let through, the least recent first: their counts stay in the " +
      "summary and in `omitted`.",
    default: 200_000,
    min: 100,
    max: 10_000_000,
    unit: "violations",
  }),
  limitBytes: wholeNumber({
    about:
      "What these violations may weigh, by estimate; at this weight the same happens. Lowered to half of what the heap " +
      "has beyond 96 MiB, where that is less: V8's heap is about half of a container's memory.",
    default: 268_435_456,
    min: 1_048_576,
    max: 68_719_476_736,
    unit: "bytes",
  }),
  maxViolationsPerWorkload: wholeNumber({
    about:
      "Distinct violations that one workload holds in one report; at this number it forgets half of them.",
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
});
