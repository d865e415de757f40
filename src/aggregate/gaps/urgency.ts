// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Urgency of a change of a report.

/** The most urgent first; `stream`: it concerns every report alike. */
export type Urgency = "new_report" | "new_violation" | "counters" | "coverage" | "stream";
