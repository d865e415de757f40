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
const INSTANCE = "app.kubernetes.io/instance";
const FLUX = "toolkit.fluxcd.io";
const RELEASE = "meta.helm.sh/release";
const KIND = "security.kubearmor.com/KubeArmorPolicy";
const SELF = `${KIND}:shop/no-shells`;
const APPLICATION = { tool: "ArgoCD", kind: "Application", name: "web" };

describe("the source of a policy", () => {
  it.each<[string, object, object | undefined]>([
    ["nothing", {}, undefined],
    ["Argo CD's label", { "argocd.argoproj.io/instance": "web" }, APPLICATION],
    [
      "Flux's Kustomization",
      { [`kustomize.${FLUX}/name`]: "policies", [`kustomize.${FLUX}/namespace`]: "flux-system" },
      { tool: "Flux", kind: "Kustomization", name: "policies", namespace: "flux-system" },
    ],
    [
      "a chart's labels",
      { [INSTANCE]: "web", "app.kubernetes.io/managed-by": "Helm" },
      { tool: "Helm", kind: "Release", name: "web" },
    ],
    ["a label that several tools write", { [INSTANCE]: "web" }, { name: "web" }],
    ["a name that every object has", { __proto__: "web" }, undefined],
  ])("by labels: %s", (_what, labels, expected) => {
    expect(parseSource(labels as Record<string, string>)).toEqual(expected);
  });

  const inAnyNamespace = { ...APPLICATION, namespace: "team-a" };
  const helmRelease = { [`helm.${FLUX}/name`]: "web", [`helm.${FLUX}/namespace`]: "shop" };
  const release = { kind: "Release", name: "web", namespace: "shop" };

  it.each<[string, object, object | undefined, Record<string, string>?]>([
    ["Argo CD's tracking id", { [TRACKING]: `web:${SELF}` }, APPLICATION],
    ["one of any namespace", { [TRACKING]: `team-a_web:${SELF}` }, inAnyNamespace, { [INSTANCE]: "other" }],
    ["one that was copied from another object", { [TRACKING]: `web:${KIND}:shop/other` }, undefined],
    ["one of the same name in another namespace", { [TRACKING]: `web:${KIND}:bank/no-shells` }, undefined],
    [
      "Flux's HelmRelease, though Helm left its marks, too",
      { [`${RELEASE}-name`]: "shop-web" },
      { ...release, tool: "Flux", kind: "HelmRelease" },
      helmRelease,
    ],
    ["Helm", { [`${RELEASE}-name`]: "web", [`${RELEASE}-namespace`]: "shop" }, { ...release, tool: "Helm" }],
    ["text that is not a name", { [`${RELEASE}-name`]: "a\u001b[2Jb" }, undefined],
  ])("by annotations: %s", (_what, annotations, expected, labels = {}) => {
    expect(parseSource(labels, annotations as Record<string, string>)).toEqual(expected);
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

it("anything but an object is ignored", () => {
  for (const item of [null, 7, {}, { metadata: { name: "x" } }, { metadata: { name: 1, uid: "u" } }]) {
    expect(parsePolicyObject("KubeArmorPolicy", item)).toBeUndefined();
  }
});
