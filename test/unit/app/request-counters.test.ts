// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { expect, test } from "vitest";
import { RequestCounters } from "../../../src/app/request-counters.ts";

test.each([
  ["/apis/openreports.io/v1alpha1/reports", "NotInstalled"],
  ["/apis/security.kubearmor.com/v1/kubearmorclusterpolicies", "NotInstalled"],
  ["/apis/reports.kubearmor.com/v1alpha1/policyviolationreports", "NotServed"],
  ["/apis/coordination.k8s.io/v1/namespaces/kubearmor/leases", "NotServed"],
])("an API that a cluster may lack is counted apart: %s", (path, code) => {
  const counters = new RequestCounters();
  counters.countCall({ method: "GET", path, code: "NotServed" });
  counters.countCall({ method: "GET", path, code: "NotServed" });
  counters.countCall({ method: "GET", path, code: "Forbidden" });
  expect([...counters.apiRequests]).toEqual([
    { verb: "GET", code, count: 2 },
    { verb: "GET", code: "Forbidden", count: 1 },
  ]);
});
