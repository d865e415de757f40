// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import { parsePolicyObject } from "../../../src/policies/source.ts";

function createMetadata(more: Record<string, unknown>): unknown {
  return { metadata: { name: "no-shells", namespace: "shop", uid: "u", generation: 2, ...more } };
}

function parseSource(labels: Record<string, string>, annotations: Record<string, string> = {}) {
  return parsePolicyObject("KubeArmorPolicy", createMetadata({ labels, annotations }))?.object.source;
}

const TRACKING = "argocd.argoproj.io/tracking-id";
const SELF = "security.kubearmor.com/KubeArmorPolicy:shop/no-shells";

describe("the source of a policy", () => {
  it.each([
    ["nothing", {}, {}, undefined],
    ["Argo CD's tracking id", {}, { [TRACKING]: `web:${SELF}` }, { tool: "ArgoCD", kind: "Application", name: "web" }],
    [
      "Argo CD's tracking id of an application in any namespace",
      { "app.kubernetes.io/instance": "other" },
      { [TRACKING]: `team-a_web:${SELF}` },
      { tool: "ArgoCD", kind: "Application", name: "web", namespace: "team-a" },
    ],
    [
      "a tracking id that was copied from another object",
      {},
      { [TRACKING]: "web:security.kubearmor.com/KubeArmorPolicy:shop/other" },
      undefined,
    ],
    [
      "a tracking id of the same name in another namespace",
      {},
      { [TRACKING]: "web:security.kubearmor.com/KubeArmorPolicy:bank/no-shells" },
      undefined,
    ],
    [
      "Argo CD's label",
      { "argocd.argoproj.io/instance": "web" },
      {},
      { tool: "ArgoCD", kind: "Application", name: "web" },
    ],
    [
      "Flux's Kustomization",
      { "kustomize.toolkit.fluxcd.io/name": "policies", "kustomize.toolkit.fluxcd.io/namespace": "flux-system" },
      {},
      { tool: "Flux", kind: "Kustomization", name: "policies", namespace: "flux-system" },
    ],
    [
      "Flux's HelmRelease, though Helm left its marks, too",
      { "helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "shop" },
      { "meta.helm.sh/release-name": "shop-web" },
      { tool: "Flux", kind: "HelmRelease", name: "web", namespace: "shop" },
    ],
    [
      "Helm",
      {},
      { "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop" },
      { tool: "Helm", kind: "Release", name: "web", namespace: "shop" },
    ],
    [
      "a chart's labels",
      { "app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "Helm" },
      {},
      { tool: "Helm", kind: "Release", name: "web" },
    ],
    ["a label that several tools write", { "app.kubernetes.io/instance": "web" }, {}, { name: "web" }],
    ["text that is no name", {}, { "meta.helm.sh/release-name": "a\u001b[2Jb" }, undefined],
    ["a name that every object has", {}, { __proto__: "web" }, undefined],
  ])("%s", (_what, labels, annotations, expected) => {
    expect(parseSource(labels as Record<string, string>, annotations as Record<string, string>)).toEqual(expected);
  });
});

describe("when a policy was changed", () => {
  const entry = (time: string, fields: Record<string, unknown>) => ({ time, fieldsV1: fields });
  const changedAt = (more: Record<string, unknown>) =>
    parsePolicyObject("KubeArmorPolicy", createMetadata(more))?.object.changedAt;

  it("is the newest time at which a field of its spec was written", () => {
    expect(
      changedAt({
        creationTimestamp: "2026-11-23T08:00:00Z",
        managedFields: [
          entry("2026-11-23T09:00:00Z", { "f:spec": {} }),
          entry("2026-11-23T09:30:00Z", { "f:metadata": { "f:labels": {} }, "f:spec": {} }),
          entry("2026-11-23T10:00:00Z", { "f:metadata": { "f:annotations": {} } }),
          entry("2026-11-23T11:00:00Z", { "f:status": {} }),
        ],
      }),
    ).toBe("2026-11-23T09:30:00.000000Z");
  });

  it("is its creation as long as it has its first generation, and else not known", () => {
    const creationTimestamp = "2026-11-23T08:00:00Z";
    expect(changedAt({ creationTimestamp, generation: 1 })).toBe("2026-11-23T08:00:00.000000Z");
    expect(changedAt({ creationTimestamp })).toBeUndefined();
    expect(changedAt({ managedFields: [null, 7, { time: "soon", fieldsV1: { "f:spec": {} } }] })).toBeUndefined();
  });
});

it("what is no object is none", () => {
  for (const item of [null, 7, {}, { metadata: { name: "x" } }, { metadata: { name: 1, uid: "u" } }]) {
    expect(parsePolicyObject("KubeArmorPolicy", item)).toBeUndefined();
  }
});
