// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// AcceptedViolation: its spec, written by a person, and its status, written by the operator;
// reports.kubearmor.com/v1alpha1.
// Invariant: types only; nothing here runs.

import type { Outcome } from "./v1alpha1.ts";

/** Selects the violations that agree with every field that is set. */
export interface AcceptanceMatch {
  policy: string;
  workload?: { kind?: string; name?: string };
  container?: string;
  operation?: string;
  verb?: string;
  /** For a Network or NetworkFirewall violation: the port of the side that listens. */
  port?: number;
  /** For a Network or NetworkFirewall violation, in lower case: tcp, udp, icmp, … */
  protocol?: string;
  /** A glob; "" for violations without a resource. */
  resource?: string;
  /** Likewise. */
  source?: string;
  outcome?: Outcome;
}

export interface AcceptanceSpec {
  match: AcceptanceMatch;
  reason: string;
  owner?: string;
  /** RFC 3339. */
  expires?: string;
}

export type AcceptanceConditionType = "Active" | "Expired" | "Invalid" | "MatchesNothing" | "MatchesEverything";

export interface AcceptanceCondition {
  type: AcceptanceConditionType;
  status: "True" | "False";
  reason: string;
  message: string;
  /** RFC 3339. */
  lastTransitionTime: string;
  observedGeneration: number;
}

export interface AcceptanceStatus {
  observedGeneration?: number;
  conditions?: AcceptanceCondition[];
  matched?: { violations: number; occurrences: number };
}
