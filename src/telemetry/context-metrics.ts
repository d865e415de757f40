// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Metrics of the cluster objects that the leader follows: policies and acceptances. A part of metric-list.ts.

import type { MetricDefinition } from "./metric-definition.ts";
import type { FollowedKind, MetricsSource } from "./metrics-source.ts";

const readKinds = (read: (kind: FollowedKind) => number) => (source: MetricsSource) =>
  Object.fromEntries(source.policies().map((kind) => [kind.kind, read(kind)]));

/** All 0 where this replica has not led. */
export const contextMetrics: MetricDefinition[] = [
  {
    name: "policy_violation_policies_known",
    help: "1 while all policy objects of the kind are known, 0 while not: no such kind, no right, or more than are kept.",
    labels: ["kind"],
    read: readKinds(({ isKnown }) => Number(isKnown)),
  },
  {
    name: "policy_violation_policies_held",
    help: "Policy objects of which the metadata is in memory, by kind.",
    labels: ["kind"],
    read: readKinds(({ objects }) => objects),
  },
  {
    name: "policy_violation_policies_left_out",
    help: "Policy objects beyond the limit of 10,000 of a kind, of which at most 10,000 are counted; reports then can't name an object of that kind with certainty.",
    labels: ["kind"],
    read: readKinds(({ leftOut }) => leftOut),
  },
  {
    name: "policy_violation_acceptances_held",
    help: "AcceptedViolations in memory, whether they have effect or not.",
    read: (source) => source.acceptances().held,
  },
  {
    name: "policy_violation_acceptances_left_out",
    help: "AcceptedViolations beyond the bounds (1,000 per namespace, 10,000 per cluster), without effect; at most 10,000 are counted.",
    read: (source) => source.acceptances().leftOut,
  },
  {
    name: "policy_violation_acceptance_status_writes_total",
    help: "Attempts to write the status of an AcceptedViolation, by result.",
    labels: ["result"],
    read: (source) => source.acceptances().statusWrites,
  },
];
