// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// What to do about a violation: KubeArmor's own rules for "block this, too" and "let exactly this through".
// Invariant: pure; a rule names only what the report names, and where KubeArmor has no such rule that is said.

import type { Violation } from "../../../src/api/v1alpha1.ts";
import { plain } from "../render/escape.ts";
import { namespaceOf, type ViolationRef } from "./report-view.ts";

/** Advice in sentences and, where there is one, the policy that carries it out. */
export interface Advice {
  sentences: string[];
  policy?: Record<string, unknown>;
}

type Rules = Record<string, unknown>;

/** What the reader may want to do next. */
export function adviceFor(found: ViolationRef): Advice {
  const advice = adviceWith(found);
  const last = advice.sentences.length - 1;
  if (advice.policy || !advice.sentences[last]?.endsWith(":")) return advice;
  // The rule can't be told: the sentence that would have led to it must not point at nothing.
  const sentences = [...advice.sentences];
  sentences[last] = `${sentences[last]?.slice(0, -1)}. Its rule can't be told from the report.`;
  return { sentences };
}

function adviceWith(found: ViolationRef): Advice {
  const { report, violation } = found;
  const name = plain(report.policy.name);
  if (report.policy.kind === "DefaultPosture") return forPosture(found);
  if (violation.outcome === "Prevented") {
    return {
      sentences: [
        `If it must not happen, nothing is to be done: it was stopped.`,
        `If it is needed, take it out of ${name}: an Allow policy does not override a Block rule. ` +
          `Narrow the rule (fromSource, readOnly, ownerOnly) or the selector; the rule in question matches this:`,
      ],
      ...withPolicy(found, "Block"),
    };
  }
  if (violation.action === "Audit (Block)") {
    return {
      sentences: [
        `${name} says Block already. Find out why it is not enforced: no LSM for it on the node ` +
          `(\`karmor probe\`), or the pod or its namespace is annotated kubearmor-policy: audited.`,
      ],
    };
  }
  return {
    sentences: [
      `If it is wanted, nothing is to be done; an acceptance in Git takes it off the list.`,
      `If it must not happen, set the action to Block in ${name}, or add a policy that blocks exactly this:`,
    ],
    ...withPolicy(found, "Block"),
  };
}

function forPosture(found: ViolationRef): Advice {
  const { violation } = found;
  const annotation = { Network: "kubearmor-network-posture", Capabilities: "kubearmor-capabilities-posture" }[
    violation.operation
  ];
  const posture = annotation ?? "kubearmor-file-posture";
  const namespace = namespaceOf(found);
  const target = namespace === "" ? "" : ` on namespace ${plain(namespace)}`;
  const block =
    violation.outcome === "Prevented" || target === ""
      ? []
      : [`If it must not happen, block what no policy allows: annotation ${posture}: block${target}.`];
  return {
    sentences: [
      ...block,
      `If it is needed, allow exactly this, beside what the workload's Allow policies list:`,
    ],
    ...withPolicy(found, "Allow"),
  };
}

function withPolicy(found: ViolationRef, action: "Allow" | "Block"): { policy?: Record<string, unknown> } {
  const rules = rulesFor(found.violation);
  const selector = selectorFor(found);
  if (!rules || !selector) return {};
  const namespace = namespaceOf(found);
  const isHost = namespace === "";
  return {
    policy: {
      apiVersion: "security.kubearmor.com/v1",
      kind: isHost ? "KubeArmorHostPolicy" : "KubeArmorPolicy",
      metadata: {
        name: `${action.toLowerCase()}-${plain(found.violation.id)}`,
        ...(isHost ? {} : { namespace: plain(namespace) }),
      },
      spec: { [isHost ? "nodeSelector" : "selector"]: { matchLabels: selector }, ...rules, action },
    },
  };
}

/** Labels of the pod, but those that its controller gave to this one pod alone. */
function selectorFor({ report, violation }: ViolationRef): Record<string, string> | undefined {
  if (report.metadata.namespace === undefined && violation.namespace === undefined) {
    const node = violation.latest?.node ?? violation.node ?? violation.workload.name;
    return { "kubernetes.io/hostname": plain(node) };
  }
  const labels: [string, string][] = [];
  for (const label of (violation.latest?.labels ?? "").split(/[,\s]+/)) {
    const [, key, value] = /^([A-Za-z0-9./_-]+)=([A-Za-z0-9._-]*)$/.exec(label) ?? [];
    if (key && value && !GENERATED.test(key)) labels.push([key, value]);
  }
  if (labels.length === 0) return undefined;
  return Object.fromEntries(labels.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const GENERATED = /hash$|pod-name$|pod-index$|^controller-|job-name$|batch\.kubernetes\.io|helm\.sh\/chart/;

/** The section of the policy; undefined where KubeArmor's policies have no rule for the deed. */
function rulesFor(violation: Violation): Rules | undefined {
  const { operation, resource = "" } = violation;
  const from = fromSource(violation);
  switch (operation) {
    case "Process":
    case "File": {
      if (!resource.startsWith("/")) return undefined;
      const section = operation.toLowerCase();
      const path = plain(resource);
      if (path.includes("*")) return { [section]: { matchPatterns: [{ pattern: path }] } };
      if (path.endsWith("/")) return { [section]: { matchDirectories: [{ dir: path, ...from }] } };
      return { [section]: { matchPaths: [{ path, ...from }] } };
    }
    case "Network": {
      const protocol = protocolOf(resource);
      return protocol === undefined ? undefined : { network: { matchProtocols: [{ protocol, ...from }] } };
    }
    case "Capabilities": {
      const capability = /^(?:CAP_)?([A-Z_]+)$/.exec(resource)?.[1]?.toLowerCase();
      return capability === undefined
        ? undefined
        : { capabilities: { matchCapabilities: [{ capability, ...from }] } };
    }
    default:
      return undefined;
  }
}

function fromSource({ source, operation, resource }: Violation): Rules {
  if (!source?.startsWith("/") || source.includes("*")) return {};
  if (operation === "Process" && source === resource) return {};
  return { fromSource: [{ path: plain(source) }] };
}

/** KubeArmor's word for a socket's numbers: `type` decides, for the protocol is often 0, "the usual one". */
function protocolOf(resource: string): string | undefined {
  if (/SOCK_RAW/.test(resource)) return "raw";
  if (/protocol=(?:TCP|6)\b/i.test(resource)) return "tcp";
  if (/protocol=(?:UDP|17)\b/i.test(resource)) return "udp";
  if (/protocol=(?:ICMP|1)\b/i.test(resource)) return "icmp";
  if (!/domain=AF_INET/.test(resource)) return undefined;
  if (/SOCK_STREAM/.test(resource)) return "tcp";
  return /SOCK_DGRAM/.test(resource) ? "udp" : undefined;
}
