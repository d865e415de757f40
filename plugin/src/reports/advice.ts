// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Advice on a violation: what to change, where, and KubeArmor's own rule where there is one.
// Invariant: pure; no rule for a subject that KubeArmor can't select, and none that the node's enforcer can't enforce.

import { plain, toShellWord } from "../render/escape.ts";
import { createPolicy, getSubjectKind, type PolicyObject, type RuleResult } from "./policy-rule.ts";
import { describeSource, getNamespace, reportPath, type ViolationRef } from "./report-view.ts";

/** Advice in sentences and, where there is one, the policy that carries it out. */
export interface Advice {
  sentences: string[];
  policy?: PolicyObject;
  /** The command that accepts this violation. */
  accept?: string;
}

/** Advises on a violation. */
export function createAdvice(found: ViolationRef): Advice {
  const { sentences, rule } = createDraft(found);
  const accept = acceptCommand(found);
  const policy = rule?.policy;
  return {
    sentences: [...sentences, ...(rule?.notes ?? [])],
    ...(policy === undefined ? {} : { policy }),
    ...(accept === undefined ? {} : { accept }),
  };
}

interface Draft {
  sentences: string[];
  rule?: RuleResult;
}

function createDraft(found: ViolationRef): Draft {
  const { report, violation } = found;
  if (report.policy.kind === "DefaultPosture") return createPostureDraft(found);
  const name = plain(report.policy.name);
  const isDeleted = report.policy.provenance === "NotFound";
  if (violation.outcome === "Prevented") {
    const sentences = ["If it must not happen, nothing has to be done: it was prevented."];
    if (isDeleted) {
      sentences.push(`The policy ${name} was deleted, so that it is no longer blocked by it.`);
    } else {
      sentences.push(
        `If it is needed, remove or narrow the rule of ${name} that matches it${describePlace(found)}.`,
        "An Allow policy does not help: a Block rule wins over it, and an Allow policy blocks all that it does not list.",
      );
    }
    return { sentences };
  }
  const isUnknown = violation.action === "Block" && violation.outcome === "Unknown";
  if (violation.action === "Audit (Block)" || isUnknown) {
    const but = isUnknown ? "the alert does not say if it was prevented" : "was not enforced";
    const sentences = isDeleted
      ? [`The policy ${name} was deleted. It said Block, but ${but}.`]
      : [`${name} says Block, but ${but}.`];
    if (isUnknown && !isDeleted) {
      sentences.push(
        `If it is needed, remove or narrow the rule of ${name} that matches it${describePlace(found)}.`,
      );
    }
    sentences.push(
      "Check the node for an enforcer (`karmor probe`), and the pod and its namespace for the annotation " +
        "`kubearmor-policy: audited`.",
    );
    return { sentences };
  }
  const rule = createPolicy(found, "Block");
  const add = rule.policy === undefined ? [] : ["Or add a policy that blocks exactly this:"];
  const must =
    violation.operation === "Syscall"
      ? ["KubeArmor can audit system calls, but not block them."]
      : isDeleted
        ? [
            `The policy ${name} was deleted.`,
            ...(rule.policy === undefined
              ? []
              : ["If it must not happen, add a policy that blocks exactly this:"]),
          ]
        : [`If it must not happen, set the action to Block in ${name}${describePlace(found)}.`, ...add];
  return { sentences: ["If it is wanted, nothing has to be done.", ...must], rule };
}

/** Effect of a change in the cluster, by tool; Argo CD reverts it only with self-healing. */
const REVERTS: Readonly<Record<string, string>> = {
  Flux: "a change in the cluster would be reverted",
  Helm: "the next upgrade may revert a change in the cluster",
};

/** Names the source that a tool brings into the cluster, where the policy has one. */
function describePlace({ report }: ViolationRef): string {
  const sources = (report.policy.objects ?? []).flatMap(({ source }) => (source?.name ? [source] : []));
  const [source] = sources;
  if (source === undefined) return "";
  const effect = REVERTS[source.tool ?? ""] ?? "a change in the cluster may be reverted";
  return `, in the source of ${plain(describeSource(source))}: ${effect}`;
}

const POSTURES: Readonly<Record<string, string>> = {
  Network: "kubearmor-network-posture",
  Capabilities: "kubearmor-capabilities-posture",
};

function createPostureDraft(found: ViolationRef): Draft {
  const { violation } = found;
  const posture = POSTURES[violation.operation] ?? "kubearmor-file-posture";
  const namespace = getNamespace(found);
  const rule = createPolicy(found, "Allow");
  const sentences: string[] = [];
  if (violation.outcome === "Prevented") {
    sentences.push("If it must not happen, nothing has to be done: it was prevented.");
  } else if (getSubjectKind(found) === "pod") {
    sentences.push(
      `If it must not happen, block what no policy allows: set the annotation \`${posture}: block\` on namespace ${plain(namespace)}.`,
    );
  }
  if (rule.policy !== undefined) {
    sentences.push(
      "If it is needed, add this rule to an Allow policy of the workload. On its own it would block all that it does not list:",
    );
  }
  return { sentences, rule };
}

/** Only violations of namespaces can be accepted. */
function acceptCommand(found: ViolationRef): string | undefined {
  const { report, violation, accepted } = found;
  const { namespace } = report.metadata;
  if (namespace === undefined || accepted !== undefined) return undefined;
  return (
    `kubectl violations accept ${toShellWord(violation.id)} -n ${toShellWord(namespace)}` +
    ` --policy ${toShellWord(reportPath({ metadata: { name: report.metadata.name } }))}` +
    ` --reason 'WHY' --expires 90d`
  );
}
