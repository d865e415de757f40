// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Reads the metadata of a policy object: its identity, its last change, and the tool that brought it into the cluster.
// Invariant: foreign text is used only in the form of a name; marks about another object are ignored.

import type { PolicyObject, PolicyObjectKind, PolicySource } from "../api/v1alpha1.ts";
import { toObject } from "../lib/json.ts";
import { formatMicroTime, parseMicroTime } from "../lib/time.ts";

/** Parts of an object's metadata that are read; all optional, because the input is foreign. */
interface Metadata {
  name?: unknown;
  namespace?: unknown;
  uid?: unknown;
  generation?: unknown;
  creationTimestamp?: unknown;
  managedFields?: unknown;
  labels?: unknown;
  annotations?: unknown;
}

/** An object and the name under which it is found. */
export interface NamedPolicy {
  name: string;
  object: PolicyObject;
}

/** Reads a PartialObjectMetadata of a policy; undefined for anything else. */
export function parsePolicyObject(kind: PolicyObjectKind, item: unknown): NamedPolicy | undefined {
  const metadata = toObject(toObject(item)["metadata"]) as Metadata;
  const { name, namespace, uid, generation } = metadata;
  if (typeof name !== "string" || typeof uid !== "string") return undefined;
  const changedAt = findChangedAt(metadata);
  const source = findSource(kind, metadata);
  const object: PolicyObject = {
    kind,
    ...(typeof namespace === "string" ? { namespace } : {}),
    uid,
    generation: Number.isSafeInteger(generation) ? (generation as number) : 0,
    ...(changedAt === undefined ? {} : { changedAt }),
    ...(source ? { source } : {}),
  };
  return { name, object };
}

/** Newest change of a spec field recorded by a field manager; the creation time for an object never changed. */
function findChangedAt({ managedFields, creationTimestamp, generation }: Metadata): string | undefined {
  const times = (Array.isArray(managedFields) ? managedFields : [])
    .map(toObject)
    .filter((entry) => Object.hasOwn(toObject(entry["fieldsV1"]), "f:spec"))
    .map(({ time }) => time);
  const all = generation === 1 ? [...times, creationTimestamp] : times;
  const known = all
    .map((time) => (typeof time === "string" ? parseMicroTime(time) : undefined))
    .filter((us) => us !== undefined);
  return known.length === 0 ? undefined : formatMicroTime(Math.max(...known));
}

/** Returns the first of these marks that is present, the most reliable first. */
function findSource(kind: PolicyObjectKind, metadata: Metadata): PolicySource | undefined {
  const labels = readMarks(metadata.labels);
  const annotations = readMarks(metadata.annotations);
  return (
    parseArgoTracking(kind, metadata, annotations("argocd.argoproj.io/tracking-id")) ??
    source("ArgoCD", "Application", labels("argocd.argoproj.io/instance")) ??
    source("ArgoCD", "Application", annotations("argocd.argoproj.io/instance")) ??
    findFluxSource("Kustomization", "kustomize", labels) ??
    findFluxSource("HelmRelease", "helm", labels) ??
    source(
      "Helm",
      "Release",
      annotations("meta.helm.sh/release-name"),
      annotations("meta.helm.sh/release-namespace"),
    ) ??
    toInstanceSource(labels("app.kubernetes.io/instance"), labels("app.kubernetes.io/managed-by"))
  );
}

function source(
  tool: PolicySource["tool"],
  kind: PolicySource["kind"],
  name: string,
  namespace = "",
): PolicySource | undefined {
  if (!isName(name)) return undefined;
  return {
    ...(tool === undefined ? {} : { tool }),
    ...(kind === undefined ? {} : { kind }),
    name,
    ...(isName(namespace) ? { namespace } : {}),
  };
}

/**
 * Argo CD's `<application>:<group>/<kind>:<namespace>/<name>`, where the application may be `<namespace>_<name>`. A
 * mark that was copied from another object with the rest of its annotations names that other object.
 */
function parseArgoTracking(kind: PolicyObjectKind, metadata: Metadata, id: string): PolicySource | undefined {
  const [application = "", gvk = "", path = ""] = id.split(":");
  const slash = path.indexOf("/");
  if (gvk !== `security.kubearmor.com/${kind}` || path.slice(slash + 1) !== metadata.name) return undefined;
  // For an object of the cluster Argo CD writes the namespace that the application deploys to.
  if (typeof metadata.namespace === "string" && path.slice(0, slash) !== metadata.namespace) return undefined;
  const bar = application.indexOf("_");
  if (bar < 0) return source("ArgoCD", "Application", application);
  return source("ArgoCD", "Application", application.slice(bar + 1), application.slice(0, bar));
}

function findFluxSource(
  kind: "Kustomization" | "HelmRelease",
  group: "kustomize" | "helm",
  labels: (key: string) => string,
): PolicySource | undefined {
  const name = labels(`${group}.toolkit.fluxcd.io/name`);
  return source("Flux", kind, name, labels(`${group}.toolkit.fluxcd.io/namespace`));
}

/** Argo CD tracks by this label where it is configured to, and most charts of Helm set it. */
function toInstanceSource(name: string, managedBy: string): PolicySource | undefined {
  return managedBy === "Helm" ? source("Helm", "Release", name) : source(undefined, undefined, name);
}

const NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$/;

function isName(text: string): boolean {
  return NAME.test(text);
}

function readMarks(value: unknown): (key: string) => string {
  const all = toObject(value);
  return (key) => {
    const mark = Object.hasOwn(all, key) ? all[key] : undefined;
    return typeof mark === "string" ? mark : "";
  };
}
