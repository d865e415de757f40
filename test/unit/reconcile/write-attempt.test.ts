// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { Ledger } from "../../../src/aggregate/ledger/ledger.ts";
import type { ObjectMeta, ReportBody } from "../../../src/api/v1alpha1.ts";
import { buildReport } from "../../../src/reconcile/write-attempt.ts";
import { alert } from "../../support/gen.ts";
import { report } from "../ingest/fold-alerts.ts";

const { policy, summary, violations, coverage } = report([alert()]);
const BODY: ReportBody = { policy, summary, violations, coverage };
const LEDGER = new Ledger("shop", "p");

describe("the object that is sent", () => {
  it("is new without a stored one", () => {
    expect(buildReport(LEDGER, BODY, undefined, { id: "writer-a", seq: 7 }).metadata).toEqual({
      name: "p",
      namespace: "shop",
      labels: { "app.kubernetes.io/managed-by": "policy-violation-operator" },
      annotations: {
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "reports.kubearmor.com/written-by": "writer-a/7",
      },
    });
  });

  it("is the stored one otherwise, with all that others put on it", () => {
    const stored: ObjectMeta = {
      name: "p",
      namespace: "shop",
      uid: "u",
      resourceVersion: "41",
      creationTimestamp: "2026-01-01T00:00:00Z",
      generation: 9,
      managedFields: [{ manager: "x" }],
      deletionTimestamp: "2026-01-02T00:00:00Z",
      finalizers: ["example.com/keep"],
      ownerReferences: [{ name: "o" }],
      labels: { team: "blue", "app.kubernetes.io/managed-by": "somebody" },
      annotations: { note: "mine", "reports.kubearmor.com/written-by": "writer-a/6" },
    };
    expect(buildReport(LEDGER, BODY, stored, { id: "writer-a", seq: 7 }).metadata).toEqual({
      name: "p",
      namespace: "shop",
      uid: "u",
      resourceVersion: "41",
      creationTimestamp: "2026-01-01T00:00:00Z",
      deletionTimestamp: "2026-01-02T00:00:00Z",
      finalizers: ["example.com/keep"],
      ownerReferences: [{ name: "o" }],
      labels: { team: "blue", "app.kubernetes.io/managed-by": "policy-violation-operator" },
      annotations: {
        note: "mine",
        "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
        "reports.kubearmor.com/written-by": "writer-a/7",
      },
    });
  });

  it("of the cluster has no namespace, and its own kind", () => {
    const sent = buildReport(new Ledger(undefined, "DefaultPosture"), BODY, undefined, undefined);
    expect(sent.kind).toBe("ClusterPolicyViolationReport");
    expect(sent.metadata).toEqual({
      name: "default-posture",
      labels: { "app.kubernetes.io/managed-by": "policy-violation-operator" },
      annotations: { "argocd.argoproj.io/compare-options": "IgnoreExtraneous" },
    });
  });

  it("says first what it is", () => {
    expect(Object.keys(buildReport(LEDGER, BODY, undefined, undefined))).toEqual(
      "apiVersion kind metadata policy summary violations coverage".split(" "),
    );
  });
});
