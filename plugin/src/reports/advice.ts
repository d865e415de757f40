// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// Advice on a violation: what to change, where, and KubeArmor's own rule where there is one.
// Invariant: pure; no rule for a subject that KubeArmor can't select, and none that the node's enforcer can't enforce.

import { toShellWord } from "../text/escape.ts";
import { type Sentence, say } from "../text/sentence.ts";
import { createPolicy, getSubjectKind, type PolicyObject, type RuleResult } from "./policy-rule.ts";
import { describeSource, getNamespace, reportPath, type ViolationRef } from "./report-view.ts";
import { isUnenforced } from "./sentences.ts";
import { toMs } from "./when.ts";

/** Advice in sentences and, where there is one, the policy that carries it out. */
export interface Advice {
  sentences: Sentence[];
  policy?: PolicyObject;
  /** The command that accepts this violation. */
  accept?: string;
}

export function createAdvice(found: ViolationRef): Advice {
  const { sentences, rule } = createDraft(found);
  const accept = acceptCommand(found);
  const policy = rule?.policy;
  return {
    sentences: [...describeChange(found), ...sentences, ...(rule?.notes ?? [])],
    ...(policy === undefined ? {} : { policy }),
    ...(accept === undefined ? {} : { accept }),
  };
}

/** A policy that was changed since may say something else. */
function describeChange({ report, violation }: ViolationRef): Sentence[] {
  const { name, objects = [] } = report.policy;
  const isChanged = objects.some(({ changedAt }) => toMs(changedAt ?? "") > toMs(violation.lastSeen));
  return isChanged
    ? [
        say`The policy ${name} was changed after this was last seen: check what it says now. What follows is about the policy as it was.`,
      ]
    : [];
}

interface Draft {
  sentences: Sentence[];
  rule?: RuleResult;
}

function createDraft(found: ViolationRef): Draft {
  const { report, violation } = found;
  if (report.policy.kind === "DefaultPosture") return createPostureDraft(found);
  const { name } = report.policy;
  const isDeleted = report.policy.provenance === "NotFound";
  const place = describePlace(found);
  if (violation.outcome === "Prevented") {
    const sentences = [say`If it must not happen, nothing has to be done: it was prevented.`];
    if (isDeleted) {
      sentences.push(say`The policy ${name} was deleted, so that it is no longer blocked by it.`);
    } else {
      sentences.push(
        say`If it is needed, remove or narrow the rule of ${name} that matches it${place}.`,
        say`An Allow policy does not help: a Block rule wins over it, and an Allow policy blocks all that it does not list.`,
      );
    }
    return { sentences };
  }
  const isUnknown = violation.action === "Block" && violation.outcome === "Unknown";
  if (isUnenforced(violation) || isUnknown) {
    const but = isUnknown ? say`the alert does not say if it was prevented` : say`was not enforced`;
    const sentences = isDeleted
      ? [say`The policy ${name} was deleted. It said Block, but ${but}.`]
      : [say`${name} says Block, but ${but}.`];
    if (isUnknown && !isDeleted) {
      sentences.push(say`If it is needed, remove or narrow the rule of ${name} that matches it${place}.`);
    }
    sentences.push(
      say`Check the node for an enforcer (\`karmor probe\`), and the pod and its namespace for the annotation \`kubearmor-policy: audited\`.`,
    );
    return { sentences };
  }
  const rule = createPolicy(found, "Block");
  const add = rule.policy === undefined ? [] : [say`Or add a policy that blocks exactly this:`];
  const must =
    violation.operation === "Syscall"
      ? [say`KubeArmor can audit system calls, but not block them.`]
      : isDeleted
        ? [
            say`The policy ${name} was deleted.`,
            ...(rule.policy === undefined ? [] : [say`If it must not happen, add a policy that blocks exactly this:`]),
          ]
        : [say`If it must not happen, set the action to Block in ${name}${place}.`, ...add];
  return { sentences: [say`If it is wanted, nothing has to be done.`, ...must], rule };
}

/** Effect of a change in the cluster, by tool; Argo CD reverts it only with self-healing. */
const REVERTS: Readonly<Record<string, Sentence>> = {
  Flux: say`a change in the cluster would be reverted`,
  Helm: say`the next upgrade may revert a change in the cluster`,
};
const MAY_REVERT = say`a change in the cluster may be reverted`;

/** Names the sources that tools bring into the cluster, where the policy has any: several objects may have its name. */
function describePlace({ report }: ViolationRef): Sentence {
  const sources = new Map(
    (report.policy.objects ?? []).flatMap(({ source }) =>
      source?.name ? [[describeSource(source), source.tool ?? ""] as const] : [],
    ),
  );
  let sentence = say``;
  for (const [source, tool] of sources) {
    const start = sentence.text === "" ? say`, ` : say`${sentence}; or `;
    sentence = say`${start}in the source of ${source}: ${REVERTS[tool] ?? MAY_REVERT}`;
  }
  return sentence;
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
  const sentences: Sentence[] = [];
  if (violation.outcome === "Prevented") {
    sentences.push(say`If it must not happen, nothing has to be done: it was prevented.`);
  } else if (getSubjectKind(found) === "pod") {
    const annotation = { text: `\`${posture}: block\``, markdown: `\`${posture}: block\`` };
    sentences.push(
      say`If it must not happen, block what no policy allows: set the annotation ${annotation} on namespace ${namespace}.`,
    );
  }
  if (rule.policy !== undefined) {
    sentences.push(
      say`If it is needed, add this rule to an Allow policy of the workload. On its own it would block all that it does not list:`,
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
