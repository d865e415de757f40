// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation of a report.
// Invariant: the same counts give the same bytes; severity, tags and message are written only where they differ from
// the policy's.

import type { PodTally } from "../aggregate/counts/pods.ts";
import { emptyTally, mergeInto, type Tally } from "../aggregate/counts/tally.ts";
import { type Entry, getWrittenRule } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import type { Accepted, Evidence, Policy, Violation, ViolationPod } from "../api/v1alpha1.ts";
import type { RuleFacts } from "../ingest/violation/rule.ts";
import { compare } from "../lib/compare.ts";
import { formatMicroTime } from "../lib/time.ts";

export interface ViolationOptions {
  /** Pods listed, the most recent first. */
  maxPods: number;
  accepted: Accepted | undefined;
}

/** Renders the committed and in-flight counts of one violation. */
export function renderViolation(
  ledger: Ledger,
  policy: Policy,
  entry: Entry,
  { maxPods, accepted }: ViolationOptions,
): Violation {
  const { identity } = entry;
  const tally = written(entry);
  const latest = tally.latest?.read();
  const pods = [...tally.pods.values()]
    .sort((a, b) => b.lastUs - a.lastUs || compare(a.name, b.name) || compare(a.node, b.node))
    .slice(0, maxPods)
    .map(renderPod);
  return {
    id: entry.id,
    workload: { kind: identity.workload.kind, name: identity.workload.name },
    ...(ledger.namespace === undefined ? clusterPlace(identity.namespace, latest) : {}),
    ...optional("container", identity.container),
    operation: identity.operation,
    ...optional("verb", identity.verb),
    ...renderRule(getWrittenRule(entry), policy),
    ...optional("action", identity.action),
    outcome: identity.outcome,
    ...(accepted ? { accepted } : {}),
    ...optional("source", identity.source),
    ...optional("resource", identity.resource),
    occurrences: tally.occurrences,
    ...(entry.lowerBound ? { lowerBound: true } : {}),
    firstSeen: formatMicroTime(tally.firstUs),
    lastSeen: formatMicroTime(tally.lastUs),
    ...(pods.length > 0 ? { pods } : {}),
    ...(latest ? { latest } : {}),
  };
}

function written({ committed, inFlight }: Entry): Tally {
  if (committed && inFlight) return mergeInto(mergeInto(emptyTally(), committed), inFlight);
  return committed ?? inFlight ?? emptyTally();
}

function renderRule(
  { severity, tags, message }: RuleFacts,
  policy: Policy,
): Pick<Violation, "severity" | "tags" | "message"> {
  const isSame = JSON.stringify(tags) === JSON.stringify(policy.tags ?? []);
  return {
    ...(severity === (policy.severity ?? 0) ? {} : { severity }),
    ...(isSame ? {} : { tags: [...tags] }),
    ...(message === (policy.message ?? "") ? {} : { message }),
  };
}

function clusterPlace(namespace: string, latest: Evidence | undefined): { namespace?: string; node?: string } {
  return { ...optional("namespace", namespace), ...optional("node", latest?.node ?? "") };
}

function renderPod(pod: PodTally): ViolationPod {
  return {
    name: pod.name,
    ...optional("node", pod.node),
    occurrences: pod.occurrences,
    lastSeen: formatMicroTime(pod.lastUs),
  };
}

function optional<K extends string>(key: K, value: string): { [P in K]?: string } {
  return value === "" ? {} : ({ [key]: value } as { [P in K]?: string });
}
