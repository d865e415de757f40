// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of the cluster's name and of OpenReports: a part of schema.ts.

import { choice, section, text, wholeNumber } from "./setting.ts";

export const cluster = section("The cluster that this operator runs in.", {
  name: text({
    about:
      "Identifies the cluster where data of several clusters meet: a label on every metric and report, a property of every OpenReports " +
      "result. Empty adds none.",
    default: "",
    expects: "at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends, or empty",
    isValid: (value) => value === "" || /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(value),
  }),
});

const STATUSES = ["pass", "fail", "warn", "error", "skip"] as const;

function createStatusSetting(violations: string, value: (typeof STATUSES)[number]) {
  return choice(STATUSES, { about: `Result of violations that ${violations}.`, default: value });
}

export const openReports = section(
  "Copies of the reports as Reports and ClusterReports of openreports.io, which Policy Reporter and others read.",
  {
    enabled: choice(["auto", "true", "false"], {
      about:
        "Writes copies. auto: where the cluster serves openreports.io/v1alpha1; CRDs that are installed " +
        "later are found within a minute. true: the same, and a warning where they are missing.",
      default: "auto",
    }),
    maxResults: wholeNumber({
      about:
        "Results in one copy. More become one result with the rule `omitted`. `configuration.limits.maxResults` of a " +
        "copy takes precedence.",
      default: 100,
      min: 1,
      max: 1000,
      unit: "results",
    }),
    minIntervalMs: wholeNumber({
      about: "Shortest time between two writes of one copy; the first is written at once.",
      default: 60_000,
      min: 100,
      max: 3_600_000,
      unit: "ms",
    }),
    results: section("Result of each violation. Accepted takes precedence over the outcome.", {
      allowed: createStatusSetting("were allowed", "fail"),
      prevented: createStatusSetting("were prevented", "warn"),
      unknown: createStatusSetting("have an unknown outcome", "fail"),
      accepted: createStatusSetting("an AcceptedViolation covers", "skip"),
    }),
    unknownSeverity: choice(["info", "low", "medium", "high", "critical"], {
      about: "Severity of violations of policies without a severity.",
      default: "medium",
    }),
  },
);
