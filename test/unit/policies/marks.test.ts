// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The marks on policies as the tools themselves left them: `marks/` holds the metadata of objects that the named version
// of a tool applied to a real API server, unchanged.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parsePolicyObject } from "../../../src/policies/source.ts";

function readApplied(file: string): unknown[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, "marks", file), "utf8")) as unknown[];
}

test("Flux's kustomize-controller is known by its labels, on objects of a namespace and of the cluster", () => {
  const [namespaced, cluster] = readApplied("flux-kustomize-controller-1.9.6.json");
  const source = { tool: "Flux", kind: "Kustomization", name: "shop-policies", namespace: "flux-system" };
  const changedAt = "2026-11-23T22:04:19.000000Z";
  expect(parsePolicyObject("KubeArmorPolicy", namespaced)).toEqual({
    name: "no-package-managers",
    object: {
      kind: "KubeArmorPolicy",
      namespace: "shop",
      uid: "ff0bc117-fd9b-41fb-a1c7-225fc285ad2d",
      generation: 1,
      changedAt,
      source,
    },
  });
  expect(parsePolicyObject("KubeArmorClusterPolicy", cluster)).toEqual({
    name: "no-shells",
    object: {
      kind: "KubeArmorClusterPolicy",
      uid: "58a387d5-3ca2-4865-b813-4757638cfacd",
      generation: 1,
      changedAt,
      source,
    },
  });
});
