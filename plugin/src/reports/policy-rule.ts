// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// KubeArmor's policy with one rule that matches one violation.
// Invariant: pure; a rule names the path that ran, only what the report names, and a form that the enforcer supports.

import type { Violation } from "../../../src/api/v1alpha1.ts";
import { plain } from "../text/escape.ts";
import { type Sentence, say } from "../text/sentence.ts";
import { getPodLabels } from "./filter.ts";
import { getNamespace, type ViolationRef } from "./report-view.ts";

export type PolicyObject = Record<string, unknown>;

/** A policy, or the reasons why there is none. */
export interface RuleResult {
  policy?: PolicyObject;
  notes: Sentence[];
}

type Rules = Record<string, unknown>;

/** Kind of what violated the policy. */
export type SubjectKind = "pod" | "host" | "container";

/** A container without a pod is not the host's, and no policy of KubeArmor selects it. */
export function getSubjectKind(found: ViolationRef): SubjectKind {
  const { workload, container } = found.violation;
  if (getNamespace(found) !== "" && workload.kind !== "Node") return "pod";
  return workload.kind === "Node" && container === undefined ? "host" : "container";
}

/** Namespace for a cell: a host has none, and says so. */
export function formatNamespace(found: ViolationRef): string {
  return getNamespace(found) || (getSubjectKind(found) === "host" ? "(host)" : "(none)");
}

export function createPolicy(found: ViolationRef, action: "Allow" | "Block"): RuleResult {
  const { violation } = found;
  const kind = getSubjectKind(found);
  if (kind === "container") {
    return { notes: [say`KubeArmor's policies select pods and hosts, and this container is neither.`] };
  }
  const notes: Sentence[] = [];
  const rules = createRules(violation, notes);
  const selector = kind === "host" ? createHostSelector(violation) : createPodSelector(violation);
  if (rules !== undefined && selector === undefined) {
    notes.push(
      kind === "host"
        ? say`The node is not named, so that no policy can select it.`
        : say`The alert has no labels of the pod, so that no policy can select it.`,
    );
  }
  if (rules === undefined || selector === undefined) return { notes };
  const name = `${action.toLowerCase()}-${plain(violation.id)}`;
  const namespace = getNamespace(found);
  const policy = {
    apiVersion: "security.kubearmor.com/v1",
    kind: kind === "host" ? "KubeArmorHostPolicy" : "KubeArmorPolicy",
    metadata: { name, ...(kind === "host" ? {} : { namespace: plain(namespace) }) },
    spec: { [kind === "host" ? "nodeSelector" : "selector"]: { matchLabels: selector }, ...rules, action },
  };
  return { policy, notes };
}

function createHostSelector({ latest, node, workload }: Violation): Record<string, string> | undefined {
  const name = [latest?.node, node, workload.name].find((one) => one && one !== "Unknown");
  return name === undefined ? undefined : { "kubernetes.io/hostname": plain(name) };
}

/** Labels that a controller gives to one pod alone. */
const GENERATED = /hash$|pod-name$|pod-index$|^controller-|job-name$|batch\.kubernetes\.io|helm\.sh\/chart/;

function createPodSelector(violation: Violation): Record<string, string> | undefined {
  const labels = [...getPodLabels(violation)].filter(([key, value]) => value !== "" && !GENERATED.test(key));
  if (labels.length === 0) return undefined;
  return Object.fromEntries(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function createRules(violation: Violation, notes: Sentence[]): Rules | undefined {
  const { operation, resource = "" } = violation;
  const from = createFromSource(violation);
  switch (operation) {
    case "Process":
    case "File":
      return createPathRules(violation, notes);
    case "Network": {
      const protocol = parseProtocol(resource);
      if (protocol !== undefined) return { network: { matchProtocols: [{ protocol, ...from }] } };
      break;
    }
    case "Capabilities": {
      const capability = /^(?:CAP_)?([A-Za-z_]+)$/.exec(resource)?.[1]?.toLowerCase();
      if (capability !== undefined) return { capabilities: { matchCapabilities: [{ capability, ...from }] } };
      break;
    }
  }
  if (operation !== "Syscall") notes.push(say`KubeArmor has no rule for exactly this (${operation}).`);
  return undefined;
}

function createPathRules(violation: Violation, notes: Sentence[]): Rules | undefined {
  const { operation, resource = "", latest } = violation;
  // An executable has one path and many names; the enforcer sees the path.
  const ran = operation === "Process" && latest?.process?.startsWith("/") ? latest.process : undefined;
  const path = plain(ran ?? resource);
  if (!path.startsWith("/") || path.includes("\ufffd")) {
    notes.push(say`The report has no path that a rule could name.`);
    return undefined;
  }
  const section = operation.toLowerCase();
  const from = createFromSource(violation);
  if (!path.includes("*")) {
    const rule = isDirectory(violation)
      ? { matchDirectories: [{ dir: path.replace(/\/?$/, "/"), ...from }] }
      : { matchPaths: [{ path, ...from }] };
    return { [section]: rule };
  }
  if (latest?.enforcer === "AppArmor") return { [section]: { matchPatterns: [{ pattern: path }] } };
  const dir = path.slice(0, path.slice(0, path.indexOf("*")).lastIndexOf("/") + 1);
  const enforcer = latest?.enforcer === "BPFLSM" ? say`BPF-LSM` : say`The node's enforcer may be BPF-LSM, which`;
  if (dir === "/") {
    notes.push(say`${enforcer} has no patterns, so that no rule matches exactly ${path}.`);
    return undefined;
  }
  notes.push(say`${enforcer} has no patterns: the rule covers the directory ${dir} in place of ${path}.`);
  return { [section]: { matchDirectories: [{ dir, recursive: true, ...from }] } };
}

/** A report names a directory without the slash at its end, which a program may have written. */
function isDirectory({ operation, verb = "", resource, latest }: Violation): boolean {
  if (operation !== "File") return false;
  return verb === "rmdir" || verb === "mkdir" || (latest?.resource ?? resource ?? "").endsWith("/");
}

/** The executable that did it; for a program that was started, the one that started it. */
function createFromSource({ source, operation, resource, latest }: Violation): Rules {
  const ran = operation === "Process" ? latest?.parent : latest?.process;
  const path = ran?.startsWith("/") ? ran : source;
  if (!path?.startsWith("/") || path.includes("*")) return {};
  if (operation === "Process" && path === resource) return {};
  return { fromSource: [{ path: plain(path) }] };
}

/** KubeArmor's word for a socket; `type` decides, for the protocol is often 0, "the usual one". */
function parseProtocol(resource: string): string | undefined {
  const named = /protocol=(tcp|udp|icmp|raw)\b/i.exec(resource)?.[1]?.toLowerCase();
  if (/SOCK_RAW/.test(resource) && !/AF_NETLINK|AF_PACKET/.test(resource)) return "raw";
  if (named !== undefined) return named;
  if (/protocol=6\b/.test(resource)) return "tcp";
  if (/protocol=17\b/.test(resource)) return "udp";
  if (/protocol=1\b/.test(resource)) return "icmp";
  if (!/domain=AF_INET/.test(resource)) return undefined;
  if (/SOCK_STREAM/.test(resource)) return "tcp";
  return /SOCK_DGRAM/.test(resource) ? "udp" : undefined;
}
