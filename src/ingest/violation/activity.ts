// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// The action of an alert: its verb, the acting executable, and the object of the action.
// Invariant: everything is redacted and sanitized; the name by which a program was called is evidence only.

import type { Alert } from "../../api/alert.ts";
import { sanitize } from "../../lib/sanitize.ts";
import { foldExecutable, foldPath } from "./fold.ts";
import { firewallResource, networkResource, plainDomain, queriedDomain } from "./network.ts";
import { getVerb } from "./verb.ts";
import type { Activity } from "./violation.ts";

/** Linux appends it to the path of an executable that was removed since it was started. */
const DELETED = / \(deleted\)$/;
/** Programs without a file: KubeArmor/presets/filelessexec/preset.go. */
const IN_MEMORY = /^(?:memfd:|\/dev\/shm\/|\/run\/shm\/)/;
/** Shorter pod names may be any word. */
const MIN_POD_NAME = 5;

type Safe = (text: string) => string;

export function toActivity(alert: Alert, safe: Safe): Activity {
  const verb = getVerb(alert);
  const source = safe(alert.Source);
  const resource = safe(alert.Resource);
  const process = safe(alert.ProcessName);
  if (verb === "exec" && alert.Operation === "Process") {
    const parent = safe(alert.ParentProcessName);
    return { verb, source, resource, ...executed(alert, { source, resource, process, parent }) };
  }
  return {
    verb,
    source,
    resource,
    foldedSource: executable(process, source),
    foldedResource: sanitize(foldResource(alert, verb, resource, safe)),
  };
}

interface Texts {
  source: string;
  resource: string;
  process: string;
  parent: string;
}

/** Where a program was started, ProcessName is the new program, and its parent is the actor. */
function executed(
  { Data }: Alert,
  { source, resource, process, parent }: Texts,
): Pick<Activity, "foldedSource" | "foldedResource"> {
  if (Data === "" && IN_MEMORY.test(resource) && !resource.startsWith(process)) {
    // In alerts of the preset filelessExec ProcessName is the program that starts the other one.
    return { foldedSource: executable(process, source), foldedResource: foldExecutable(resource, "") };
  }
  return { foldedSource: executable(parent, source), foldedResource: executable(process, resource) };
}

/** The executable's path, else the path or name at the beginning of the command line. */
function executable(path: string, commandLine: string): string {
  const ran = path.replace(DELETED, "").trim();
  return ran.startsWith("/") ? foldPath(ran) : foldExecutable(commandLine, ran);
}

/** Redacts and sanitizes text from Data. */
function foldResource(alert: Alert, verb: string, resource: string, safe: Safe): string {
  switch (alert.Operation) {
    case "Network":
      return verb === "resolve" ? toDomain(alert, resource, safe) : networkResource(resource, verb);
    case "NetworkFirewall":
      return firewallResource(alert, verb);
    case "Syscall":
      return foldOwnPath(alert, resource === "" ? safe(mountPoint(alert, verb)) : resource);
    default:
      return foldOwnPath(alert, resource);
  }
}

/** Also folds the name of the alert's own pod. */
function foldOwnPath({ PodName, NamespaceName }: Alert, path: string): string {
  const isOfPod = NamespaceName !== "" && PodName.includes("-") && PodName.length >= MIN_POD_NAME;
  const folded = foldPath(path);
  return isOfPod && folded.startsWith("/") && folded.includes(PodName)
    ? folded
        .split("/")
        .map((segment) => (segment === PodName ? "*" : segment))
        .join("/")
    : folded;
}

/** The domain of the matched policy, which KubeArmor puts into Resource; else the queried one. */
function toDomain({ Data }: Alert, resource: string, safe: Safe): string {
  return resource === "" || resource.includes("=") ? safe(queriedDomain(Data.split(/\s+/))) : plainDomain(resource);
}

/** Mounts have no Resource. */
function mountPoint({ Data }: Alert, verb: string): string {
  if (verb !== "mount" && verb !== "umount") return "";
  return /(?:^|\s)target=(\S+)/.exec(Data)?.[1] ?? "";
}
