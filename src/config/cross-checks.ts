// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Settings that are right one by one and wrong together.
// Invariant: a pair is judged only when both of its values are right in themselves.

import { type ConfigProblem, describeValue } from "./config-problem.ts";

export interface InForce {
  value: unknown;
  source: string;
}

type Values = ReadonlyMap<string, InForce>;

interface Order {
  smaller: string;
  larger: string;
  /** `larger` must be more than `factor` × `smaller`; without it, at least `smaller`. */
  moreThanTimes?: number;
  why: string;
}

const ORDERS: readonly Order[] = [
  {
    smaller: "reports.minIntervalMs",
    larger: "reports.maxIntervalMs",
    why: "the pace stretches from the one to the other",
  },
  {
    smaller: "leaderElection.renewDeadlineMs",
    larger: "leaderElection.leaseDurationMs",
    moreThanTimes: 1,
    why: "a leader must stop writing before another may take over",
  },
  {
    // Attempts are spread by up to a fifth, as in client-go.
    smaller: "leaderElection.retryPeriodMs",
    larger: "leaderElection.renewDeadlineMs",
    moreThanTimes: 1.2,
    why: "else one failed attempt loses the Lease",
  },
  ...[
    ["low", "medium"],
    ["medium", "high"],
    ["high", "critical"],
  ].map(([smaller, larger]) => ({
    smaller: `severity.thresholds.${smaller}`,
    larger: `severity.thresholds.${larger}`,
    why: "each name needs at least the severity of the one before",
  })),
];

function check({ smaller, larger, moreThanTimes, why }: Order, values: Values): ConfigProblem | undefined {
  const low = values.get(smaller);
  const high = values.get(larger);
  if (typeof low?.value !== "number" || typeof high?.value !== "number") return undefined;
  const isRight = moreThanTimes === undefined ? high.value >= low.value : high.value > low.value * moreThanTimes;
  if (isRight) return undefined;
  const relation =
    moreThanTimes === undefined ? "at least" : moreThanTimes === 1 ? "more than" : `more than ${moreThanTimes} ×`;
  return {
    path: larger,
    value: describeValue(high.value),
    source: high.source === "default" ? low.source : high.source,
    message: `must be ${relation} ${smaller} (${low.value}, ${low.source}): ${why}`,
  };
}

/** Returns contradictions between settings. */
export function validateCombinations(values: Values): ConfigProblem[] {
  const problems = ORDERS.map((order) => check(order, values));
  return [...problems, checkAddresses(values)].filter((problem) => problem !== undefined);
}

/** Metrics and probes are two servers; port 0 gives each a port of its own. */
function checkAddresses(values: Values): ConfigProblem | undefined {
  const metrics = values.get("metrics.address");
  const health = values.get("health.address");
  if (typeof health?.value !== "string" || health.value !== metrics?.value) return undefined;
  if (health.value.endsWith(":0")) return undefined;
  return {
    path: "health.address",
    value: describeValue(health.value),
    source: health.source === "default" ? metrics.source : health.source,
    message: `must differ from metrics.address (${metrics.value}, ${metrics.source}): probes have a port of their own`,
  };
}
