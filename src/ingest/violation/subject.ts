// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The workload and container of an alert, from this one alert.
// Invariant: a name that changes with each run is folded; a container's id is never its name.

import type { Alert } from "../../api/alert.ts";
import type { Workload } from "../../api/v1alpha1.ts";
import { sanitize } from "../../lib/sanitize.ts";
import { foldWorkload } from "./fold.ts";
import { type SubjectFacts, UNKNOWN } from "./violation.ts";

/** KubeArmor's namespace for containers outside Kubernetes; the field for the pod holds the container's name. */
const OUTSIDE_KUBERNETES = "container_namespace";
const DNS_LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** A Docker name, `k8s_<container>_<pod>_<namespace>_<uid>_<restarts>`; Docker's API puts a `/` in front. */
const DOCKER_NAME = /^\/?k8s_([^_]+)_[^_]+_[^_]+_[^_]+_\d+$/;
const CONTAINER_ID = /^[0-9a-f]{64}$/i;
/** Before an id in the status of a pod. */
const RUNTIME = /^[a-z-]+:\/\//;
/** Docker shortens ids to this many digits. */
const SHORT_ID = 12;

export interface AlertSubject extends SubjectFacts {
  /** Undefined where the namespace can have no report. */
  namespace: string | undefined;
  /** The namespace in the alert where `namespace` is undefined; else "". */
  oddNamespace: string;
  pod: string;
  node: string;
  workload: Workload;
  /** "" where the alert has no name for it. */
  container: string;
}

/** The subject of an alert: a node's process, a container outside Kubernetes, or a pod. */
export function toSubject(alert: Alert): AlertSubject {
  const namespaceName = named(alert.NamespaceName);
  const namespace = legalNamespace(namespaceName);
  const pod = sanitize(named(alert.PodName));
  const node = sanitize(alert.HostName);
  const container = containerName(alert);
  const isHost = isHostAlert(alert, namespaceName, pod);
  const owner = toOwner(alert, pod);
  return {
    namespace,
    oddNamespace: namespace === undefined ? sanitize(namespaceName) : "",
    pod,
    node,
    container,
    containerId: isHost ? "" : sanitize(alert.ContainerID, 64),
    workload: isHost ? workload("Node", node) : (owner ?? podOrContainer(namespaceName, pod, container)),
    hasOwner: !isHost && owner !== undefined,
  };
}

/** Returns a valid namespace for a report; undefined for any other text. */
export function legalNamespace(name: string): string | undefined {
  return name.length <= 63 && DNS_LABEL.test(name) ? name : undefined;
}

/** KubeArmor writes Unknown where the container runtime gave no label (KubeArmor/core/containerdHandler.go). */
function named(text: string): string {
  return text === UNKNOWN ? "" : text;
}

/** KubeArmor raises MatchedPolicy for containers only. */
function isHostAlert({ Type, ContainerName, ContainerID }: Alert, namespace: string, pod: string): boolean {
  if (Type === "MatchedHostPolicy") return true;
  return Type !== "MatchedPolicy" && `${namespace}${pod}${ContainerName}${ContainerID}` === "";
}

/**
 * The owner, unless it is of another namespace: KubeArmor looks owners up by pod name alone, so such an owner belongs
 * to another pod (KubeArmor/core/kubeUpdate.go, OwnerInfo).
 */
function toOwner(alert: Alert, pod: string): Workload | undefined {
  const owner = sanitize(named(alert.OwnerName));
  if (owner === "" || alert.OwnerNamespace !== alert.NamespaceName) return undefined;
  // Ref is empty for bare pods since KubeArmor reads them through an informer.
  const kind = sanitize(alert.OwnerRef) || (owner === pod ? "Pod" : UNKNOWN);
  return workload(kind, foldWorkload(kind, owner, pod));
}

function podOrContainer(namespace: string, pod: string, container: string): Workload {
  if (namespace === OUTSIDE_KUBERNETES && pod !== "") return workload("Container", pod);
  return pod === "" && namespace === "" ? workload("Container", container) : workload("Pod", pod);
}

function workload(kind: string, name: string): Workload {
  return { kind, name: name === "" ? UNKNOWN : name };
}

/**
 * The container's name. KubeArmor gives the id before the pod's status is known to it, and always for init and
 * ephemeral containers (KubeArmor/core/kubeUpdate.go, handlePodEvent).
 */
function containerName({ ContainerName, ContainerID }: Alert): string {
  const id = ContainerName.replace(RUNTIME, "");
  const isShortId = id.length >= SHORT_ID && ContainerID.startsWith(id);
  if (isShortId || CONTAINER_ID.test(id)) return "";
  return sanitize(DOCKER_NAME.exec(ContainerName)?.[1] ?? named(ContainerName));
}
