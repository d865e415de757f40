// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings of reports: size, write rate, and the names of severities.

import { HOUR_MS, MINUTE_MS } from "../../lib/time.ts";
import { section, wholeNumber } from "./setting.ts";

export const reports = section("Size and write rate of reports.", {
  maxViolations: wholeNumber({
    about: "Violations listed in one report; what is cut stays in its summary and is counted under `omitted`.",
    default: 300,
    min: 1,
    max: 1000,
    unit: "violations",
  }),
  maxBytes: wholeNumber({
    about: "Size of one report as JSON; violations are cut until it fits.",
    default: 262_144,
    min: 32_768,
    max: 1_048_576,
    unit: "bytes",
  }),
  maxPodsPerViolation: wholeNumber({
    about: "Pods named under one violation, the most recent first.",
    default: 10,
    min: 1,
    max: 100,
    unit: "pods",
  }),
  firstWriteDelayMs: wholeNumber({
    about: "Delay of the first write of a new violation, so that alerts that follow it are in the same write.",
    default: 200,
    min: 0,
    max: 1000,
    unit: "ms",
  }),
  minIntervalMs: wholeNumber({
    about: "Shortest time between two writes of one report.",
    default: 5000,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  maxIntervalMs: wholeNumber({
    about: "Longest time that a changed report stays unwritten; the pace stretches to it while only counters move.",
    default: MINUTE_MS,
    min: 100,
    max: HOUR_MS,
    unit: "ms",
  }),
  retentionMs: wholeNumber({
    about:
      "Time for which a violation that is not seen again stays in its report, by its `lastSeen`; a report with none left " +
      "is deleted. 0 keeps everything. `replay` and `demo` keep everything.",
    default: 30 * 24 * HOUR_MS,
    min: 0,
    max: 10 * 365 * 24 * HOUR_MS,
    unit: "ms",
  }),
  retentionSweepMs: wholeNumber({
    about: "Time between two sweeps for expired violations; the first is one interval after the start.",
    default: HOUR_MS,
    min: 100,
    max: 24 * HOUR_MS,
    unit: "ms",
  }),
  writesPerSecond: wholeNumber({
    about:
      "Report writes a second, over all reports. A report of more than 32 KiB counts as one write for each 32 KiB.",
    default: 20,
    min: 1,
    max: 1000,
    unit: "writes",
  }),
  writeBurst: wholeNumber({
    about: "Burst of report writes after a quiet time.",
    default: 40,
    min: 1,
    max: 10_000,
    unit: "writes",
  }),
  writeTimeoutMs: wholeNumber({
    about: "Time limit of one write; after that a read shows if it happened.",
    default: 30_000,
    min: 100,
    max: 5 * MINUTE_MS,
    unit: "ms",
  }),
});

export const severity = section(
  "Names of a policy's severity (1 to 10, 10 is worst). Below `low` it is info; without a severity it is unknown.",
  {
    thresholds: section("The lowest policy severity of each name; 11 means never.", {
      low: createThreshold("low", 3),
      medium: createThreshold("medium", 5),
      high: createThreshold("high", 7),
      critical: createThreshold("critical", 9),
    }),
  },
);

function createThreshold(level: string, severity: number) {
  return wholeNumber({
    about: `The lowest policy severity that is shown as ${level}.`,
    default: severity,
    min: 1,
    max: 11,
  });
}
