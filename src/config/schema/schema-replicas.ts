// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The settings of several replicas that agree on one writer.
// Invariant: as in schema.ts.

import { MINUTE_MS } from "../../lib/time.ts";
import { namespaceName, objectName, section, toggle, wholeNumber } from "./setting.ts";

export const leaderElection = section("Election of the replica that writes.", {
  enabled: toggle({
    about: "Elects one writer among the replicas; without it only one replica may run.",
    default: true,
    flag: { name: "--no-leader-elect" },
  }),
  leaseName: objectName({ about: "Name of the Lease.", default: "policy-violation-operator" }),
  leaseNamespace: namespaceName({
    about: "Namespace of the Lease.",
    defaultText: "`$POD_NAMESPACE`, else the pod's own namespace, else `kubearmor`",
  }),
  leaseDurationMs: wholeNumber({
    about: "Time for which a silent leader keeps its Lease.",
    default: 15_000,
    min: 1000,
    max: 10 * MINUTE_MS,
    unit: "ms",
  }),
  renewDeadlineMs: wholeNumber({
    about: "Time for which a leader tries to renew the Lease before it stops writing; less than leaseDurationMs.",
    default: 10_000,
    min: 100,
    max: 10 * MINUTE_MS,
    unit: "ms",
  }),
  retryPeriodMs: wholeNumber({
    about: "Time between two attempts to get or renew the Lease; less than renewDeadlineMs.",
    default: 2000,
    min: 50,
    max: 10 * MINUTE_MS,
    unit: "ms",
  }),
});

export const standby = section("Alerts that a standby keeps while another replica writes.", {
  maxAlerts: wholeNumber({
    about:
      "Alerts kept that no report shows yet, 8 bytes each; beyond it the violation that was seen least recently loses its oldest quarter, and a report that misses them after a takeover says that it is a lower bound.",
    default: 1_000_000,
    min: 1000,
    max: 100_000_000,
    unit: "alerts",
  }),
  maxViolations: wholeNumber({
    about:
      "Distinct violations of single pods among these alerts, about 2 KiB each, fewer where the heap has no room; beyond it the least recent one is dropped, as above.",
    default: 100_000,
    min: 100,
    max: 10_000_000,
    unit: "violations",
  }),
  overlapMs: wholeNumber({
    about:
      "Time after a takeover for which alerts are still compared with the writes of the previous leader; longer while such alerts arrive.",
    default: 10_000,
    min: 0,
    max: 5 * MINUTE_MS,
    unit: "ms",
  }),
});
