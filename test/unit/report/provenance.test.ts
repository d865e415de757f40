// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

import { describe, expect, it } from "vitest";
import type { PolicyKind, PolicyObject, PolicyObjectKind } from "../../../src/api/v1alpha1.ts";
import { findProvenance, type Knowledge, type PolicyCatalog } from "../../../src/report/provenance.ts";
import { START_US } from "../../support/gen.ts";

function createCatalog(
  objects: Record<string, PolicyObject>,
  knowledge: Partial<Record<PolicyObjectKind, Knowledge>> = {},
): PolicyCatalog {
  return {
    knowledge: (kind) => knowledge[kind] ?? "known",
    find: (kind, namespace, name) => objects[`${kind} ${namespace ?? ""}/${name}`],
  };
}

const KSP: PolicyObject = { kind: "KubeArmorPolicy", namespace: "shop", uid: "k", generation: 1 };
const CSP: PolicyObject = { kind: "KubeArmorClusterPolicy", uid: "c", generation: 2 };
const HSP: PolicyObject = { kind: "KubeArmorHostPolicy", uid: "h", generation: 3 };
const ALL = {
  "KubeArmorPolicy shop/both": KSP,
  "KubeArmorClusterPolicy /both": CSP,
  "KubeArmorPolicy shop/own": KSP,
  "KubeArmorClusterPolicy /wide": CSP,
  "KubeArmorHostPolicy /host": HSP,
};

function find(name: string, kind: PolicyKind = "KubeArmorPolicy", namespace = "shop", catalog = createCatalog(ALL)) {
  return findProvenance({ namespace, name, kind, lastUs: START_US }, catalog);
}

/** Finds the policy `own` in another catalog. */
const findOwnIn = (catalog: PolicyCatalog) => find("own", "KubeArmorPolicy", "shop", catalog);

describe("the policy object of a report", () => {
  it("is the one that bears the name, in its namespace or cluster-wide, with its kind", () => {
    expect(find("own")).toEqual({ kind: "KubeArmorPolicy", provenance: "Found", objects: [KSP] });
    expect(find("wide")).toEqual({ kind: "KubeArmorClusterPolicy", provenance: "Found", objects: [CSP] });
    const host = { namespace: undefined, name: "host", kind: "KubeArmorHostPolicy", lastUs: START_US } as const;
    const found = { kind: "KubeArmorHostPolicy", provenance: "Found", objects: [HSP] };
    expect(findProvenance(host, createCatalog(ALL))).toEqual(found);
  });

  it("is not guessed where two bear the name: both are listed, and the kind stays that of the alerts", () => {
    expect(find("both")).toEqual({ kind: "KubeArmorPolicy", provenance: "Ambiguous", objects: [KSP, CSP] });
  });

  it("is never one of another namespace, or of a kind that does not raise such alerts", () => {
    expect(find("own", "KubeArmorPolicy", "bank")).toEqual({ kind: "KubeArmorPolicy", provenance: "NotFound" });
    expect(find("host").provenance).toBe("NotFound");
    expect(find("wide", "KubeArmorHostPolicy").provenance).toBe("NotFound");
  });

  it("is unknown as long as one of the kinds is; an API without the kind has no objects of it", () => {
    const unlisted = createCatalog(ALL, { KubeArmorClusterPolicy: "unknown" });
    expect(findOwnIn(unlisted)).toEqual({ kind: "KubeArmorPolicy", provenance: "Unknown", objects: [KSP] });
    const older = createCatalog(ALL, { KubeArmorClusterPolicy: "unserved" });
    expect(findOwnIn(older).provenance).toBe("Found");
    const none = createCatalog({}, { KubeArmorClusterPolicy: "unserved", KubeArmorPolicy: "unserved" });
    expect(findOwnIn(none)).toEqual({ kind: "KubeArmorPolicy", provenance: "Unknown" });
  });

  it("was changed since when its time is after the newest occurrence", () => {
    const at = (changedAt: string) => createCatalog({ "KubeArmorPolicy shop/own": { ...KSP, changedAt } });
    expect(findOwnIn(at("2026-11-23T10:00:00.000000Z"))).not.toHaveProperty("changedSinceLastSeen");
    expect(findOwnIn(at("2026-11-23T10:00:01.000000Z"))).toMatchObject({ changedSinceLastSeen: true });
  });

  it("of the default posture is none; without a cluster nothing is said", () => {
    expect(find("DefaultPosture", "Unknown")).toEqual({ kind: "DefaultPosture", provenance: "NotApplicable" });
    const facts = { namespace: "shop", lastUs: START_US };
    expect(findProvenance({ ...facts, name: "DefaultPosture", kind: "Unknown" }, undefined)).toEqual({
      kind: "DefaultPosture",
    });
    expect(findProvenance({ ...facts, name: "own", kind: "KubeArmorPolicy" }, undefined)).toEqual({
      kind: "KubeArmorPolicy",
    });
  });
});
