// SPDX-License-Identifier: Apache-2.0
// Copyright The policy-violation-operator Authors

// One violation of a report.
// Invariant: the same counts give the same bytes; severity, tags and message are written only where they differ from
// the policy's.

import type { PodTally } from "../aggregate/counts/pods.ts";
import { emptyTally, mergeInto, type Tally } from "../aggregate/counts/tally.ts";
import { type Entry, getWrittenRule } from "../aggregate/entries/entry.ts";
import type { Ledger } from "../aggregate/ledger/ledger.ts";
import { setText } from "../api/set-text.ts";
import type { Accepted, Policy, Violation, ViolationPod } from "../api/v1alpha1.ts";
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
  // Filled field by field: an object spread into another one costs more than all that is copied.
  const out = { id: entry.id, workload: identity.workload } as Violation;
  if (ledger.namespace === undefined) {
    setText(out, "namespace", identity.namespace);
    setText(out, "node", latest?.node ?? "");
  }
  setText(out, "container", identity.container);
  out.operation = identity.operation;
  setText(out, "verb", identity.verb);
  setRule(out, getWrittenRule(entry), policy);
  setText(out, "action", identity.action);
  out.outcome = identity.outcome;
  if (accepted) out.accepted = accepted;
  setText(out, "source", identity.source);
  setText(out, "resource", identity.resource);
  out.occurrences = tally.occurrences;
  if (entry.lowerBound) out.lowerBound = true;
  out.firstSeen = formatMicroTime(tally.firstUs);
  out.lastSeen = formatMicroTime(tally.lastUs);
  if (pods.length > 0) out.pods = pods;
  if (latest) out.latest = latest;
  return out;
}

function written({ committed, inFlight }: Entry): Tally {
  if (committed && inFlight) return mergeInto(mergeInto(emptyTally(), committed), inFlight);
  return committed ?? inFlight ?? emptyTally();
}

function setRule(out: Violation, { severity, tags, message }: RuleFacts, policy: Policy): void {
  if (severity !== (policy.severity ?? 0)) out.severity = severity;
  if (!areEqual(tags, policy.tags ?? [])) out.tags = [...tags];
  if (message !== (policy.message ?? "")) out.message = message;
}

function areEqual(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function renderPod({ name, node, occurrences, lastUs }: PodTally): ViolationPod {
  const lastSeen = formatMicroTime(lastUs);
  return node === "" ? { name, occurrences, lastSeen } : { name, node, occurrences, lastSeen };
}
