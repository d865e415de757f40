// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// AcceptedViolations as a team writes them.

/** Renders an AcceptedViolation as JSON. */
export function renderAcceptance(name: string, spec: object, namespace = "shop"): string {
  const apiVersion = "reports.kubearmor.com/v1alpha1";
  return JSON.stringify({ apiVersion, kind: "AcceptedViolation", metadata: { name, namespace }, spec });
}
