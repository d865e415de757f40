// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Policy objects that a report may be about.
// Invariant: unknown facts are reported as unknown, never guessed; the same objects give the same bytes.

import { DEFAULT_POSTURE } from "../api/names.ts";
import type { Policy, PolicyKind, PolicyObject, PolicyObjectKind } from "../api/v1alpha1.ts";
import { type EpochUs, parseMicroTime } from "../lib/time.ts";

/** Knowledge of the objects of one kind: all are known, the kind is not served, or nothing is certain. */
export type Knowledge = "known" | "unserved" | "unknown";

export interface PolicyCatalog {
  knowledge(kind: PolicyObjectKind): Knowledge;
  /** Finds an object; `namespace` is undefined for a cluster-wide kind. */
  find(kind: PolicyObjectKind, namespace: string | undefined, name: string): PolicyObject | undefined;
}

/** Fields of a report about its policy's object; none without a catalog. */
export type ProvenanceFacts = Pick<Policy, "kind" | "provenance" | "objects" | "changedSinceLastSeen">;

export interface PolicyFromAlerts {
  namespace: string | undefined;
  name: string;
  kind: PolicyKind;
  lastUs: EpochUs;
}

/** Finds the objects with the policy's name that could have raised such alerts. */
export function findProvenance(policy: PolicyFromAlerts, catalog: PolicyCatalog | undefined): ProvenanceFacts {
  if (policy.name === DEFAULT_POSTURE) {
    return { kind: "DefaultPosture", ...(catalog ? { provenance: "NotApplicable" } : {}) };
  }
  if (!catalog) return { kind: policy.kind };
  const kinds = candidates(policy);
  const found = kinds.map((kind) =>
    catalog.find(kind, kind === "KubeArmorPolicy" ? policy.namespace : undefined, policy.name),
  );
  const objects = found.filter((object) => object !== undefined);
  const [only] = objects;
  const knowledge = kinds.map((kind) => catalog.knowledge(kind));
  const isKnown = !knowledge.includes("unknown") && knowledge.includes("known");
  const changed = objects.some(({ changedAt }) => (parseMicroTime(changedAt ?? "") ?? 0) > policy.lastUs);
  return {
    kind: isKnown && only && objects.length === 1 ? only.kind : policy.kind,
    provenance: isKnown ? word(objects.length) : "Unknown",
    ...(objects.length > 0 ? { objects } : {}),
    ...(changed ? { changedSinceLastSeen: true } : {}),
  };
}

function word(objects: number): "Found" | "Ambiguous" | "NotFound" {
  return objects === 0 ? "NotFound" : objects === 1 ? "Found" : "Ambiguous";
}

/**
 * As KubeArmor names policies: its alerts distinguish host and network policies, but a namespaced policy and a
 * cluster-wide one both raise MatchedPolicy under their bare name.
 */
function candidates({ kind, namespace }: PolicyFromAlerts): readonly PolicyObjectKind[] {
  switch (kind) {
    case "KubeArmorHostPolicy":
    case "KubeArmorNetworkPolicy":
      return [kind];
    case "KubeArmorPolicy":
    case "KubeArmorClusterPolicy":
      return ofContainers(namespace);
    default:
      return namespace === undefined
        ? ["KubeArmorClusterPolicy", "KubeArmorHostPolicy", "KubeArmorNetworkPolicy"]
        : ofContainers(namespace);
  }
}

/** Without a namespace, it was deleted, and its policies with it. */
function ofContainers(namespace: string | undefined): readonly PolicyObjectKind[] {
  return namespace === undefined ? ["KubeArmorClusterPolicy"] : ["KubeArmorPolicy", "KubeArmorClusterPolicy"];
}

/** Maps the kind in a stored report to the kind in its alerts: no alert names a cluster-wide policy as such. */
export function reportedKind(kind: PolicyKind): PolicyKind {
  return kind === "KubeArmorClusterPolicy" ? "KubeArmorPolicy" : kind;
}
